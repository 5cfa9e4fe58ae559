"""The sphere: `sphere` (numpy) for the robot, `perspective` (torch) for labels and training."""
