"""What a network says that sees the room of robot_room.py, and pictures that show the room."""

from __future__ import annotations

import numpy as np
from robot_room import cast, seen

from mtpano_model.geometry import sphere
from mtpano_model.robot.turning import level_rotation

SIZE = (128, 256)
LEVEL_DOWN = (0.0, 1.0, 0.0)


def answer(scale=1.0, down=LEVEL_DOWN):
    """What the network gives: the room as `scale` times as large, for a camera held so."""

    reach, normals, ids = seen(np.array(down), SIZE)
    reach = np.where(np.isinf(reach), np.nan, reach * scale).astype(np.float32)
    logits = np.full((18, *SIZE), -4, np.float32)
    known = np.where(ids == 255, 0, ids)
    np.put_along_axis(logits, known[None], 4, 0)
    return {
        "depth": reach[None, None],
        "normals": np.moveaxis(normals, -1, 0)[None].astype(np.float32),
        "semseg": logits[None],
    }


def ray_picture(down=LEVEL_DOWN, height=256):
    """A picture in which a colour is a direction of the room: RGB = (ray + 1) x 127.5, levelled."""

    rays = sphere.rays(height, 2 * height) @ level_rotation(np.array(down)).T
    return np.rint((rays + 1) * 127.5).astype(np.uint8)


def off(points):
    """Metres between points [n, 3] of a level camera (optical axes) and where their rays end."""
    reach = np.linalg.norm(points, axis=-1)
    true, _, _ = cast(points / reach[:, None])
    return np.abs(true - reach)
