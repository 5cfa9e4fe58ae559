"""Training: losses, the loop, presets and checkpoints."""
