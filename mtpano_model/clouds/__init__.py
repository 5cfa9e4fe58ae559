"""Point clouds from frames, and their files."""
