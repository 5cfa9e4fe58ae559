"""Rigs: one to six lenses with known poses that become one panorama. Free of torch and ROS."""
