"""A box whose depth bows while its normals are exact, as a network's heads may disagree."""

from __future__ import annotations

import box_room
import numpy as np

from mtpano_model.geometry.sphere import rays

SIZE = (128, 256)


def room() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth [H, W] and normals [3, H, W] of the box, and which of its sides a pixel shows."""
    distance, normal, wall = (a.numpy() for a in box_room.cast(box_room.panorama_rays(SIZE[0])))
    return distance, np.ascontiguousarray(normal, np.float32), wall


def bowed(amount: float = 0.03) -> np.ndarray:
    depth, _, _ = room()
    return (depth * (1 + amount * np.cos(2 * rays(*SIZE)[..., 0] * depth))).astype(np.float32)
