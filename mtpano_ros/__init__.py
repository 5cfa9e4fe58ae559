"""The ROS 2 half: the lifecycle node and its tools. Nothing is imported here."""
