"""From an image to a frame: the slot, the pipeline and the path through it."""
