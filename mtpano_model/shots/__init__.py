"""Recorded pictures, moment by moment: bags, video topics, rigs. Free of ROS."""
