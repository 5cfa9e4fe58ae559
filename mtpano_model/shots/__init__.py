"""Reads recorded pictures moment by moment from bags, video topics and rigs, without ROS."""
