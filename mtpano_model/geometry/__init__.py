"""`sphere` and `cameras` (numpy) for the robot, `perspective` (torch) for labels and training."""
