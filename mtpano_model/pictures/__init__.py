"""Pictures as they come: files, bags, sizes and masks. Free of torch and ROS."""
