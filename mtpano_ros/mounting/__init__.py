"""How the camera is held: its attitude, its height over the floor, and where other frames lie."""
