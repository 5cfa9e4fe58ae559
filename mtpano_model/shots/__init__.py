"""What cameras showed, moment by moment, read from files: bags, video topics, rigs. Free of ROS."""
