"""Reading pictures from files and messages; sizes and masks. Free of torch and ROS."""
