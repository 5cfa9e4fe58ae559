"""The checks of `mtpano doctor` that concern ROS 2."""
