"""Pictures for people: the colour twins of depth, normals and labels."""

from mtpano_model.inference.colors import (
    DEPTH_MAX,
    colorize_depth,
    colorize_labels,
    colorize_normals,
)

__all__ = ["DEPTH_MAX", "colorize_depth", "colorize_labels", "colorize_normals"]
