"""How the camera is mounted: its attitude, its height over the floor, and transforms."""
