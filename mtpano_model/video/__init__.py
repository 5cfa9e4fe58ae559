"""Video streams that arrive packet by packet over a lossy link. Free of torch and ROS."""
