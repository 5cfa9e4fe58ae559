"""A box-shaped room known in closed form, seen by a camera off its centre, and written as files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import torch

from mtpano_model.data.sample import Sample
from mtpano_model.geometry import sphere

# Where the walls are, seen from the camera: x from, to; y from, to; z from, to (metres, optical).
WALLS = ((-2.0, 3.0), (-1.5, 0.9), (-2.5, 4.0))
# Class (indoor18) and NYU40 id of those six walls, and their colours.
NAMES = ("wall", "wall", "ceiling", "floor", "wall", "window")
NYU_IDS = (1, 1, 22, 2, 1, 9)
COLORS = (
    (200, 80, 60),
    (60, 180, 90),
    (240, 240, 240),
    (120, 90, 60),
    (70, 90, 200),
    (90, 220, 230),
)


def cast(rays: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Distance, normal [3, ...] towards the camera, and wall number where rays [3, ...] end."""
    low, high = torch.tensor(WALLS).T.unflatten(1, (3, *[1] * (rays.ndim - 1)))
    distances = (torch.where(rays > 0, high, low) / rays).nan_to_num(math.inf, math.inf, math.inf)
    distance, axis = distances.min(0)
    sign = rays.gather(0, axis[None])[0].sign()
    normal = -torch.nn.functional.one_hot(axis, 3).movedim(-1, 0) * sign
    return distance, normal, 2 * axis + (sign > 0)


def panorama_rays(height: int) -> torch.Tensor:
    """Unit rays [3, height, 2 height] of a panorama."""
    return torch.from_numpy(sphere.rays(height, 2 * height).copy()).movedim(-1, 0)


def sample(height: int = 64, name: str = "box") -> Sample:
    """The room as a panorama with exact labels of class set indoor18."""
    from mtpano_model.classes import load_class_set

    distance, normal, wall = cast(panorama_rays(height))
    names = load_class_set("indoor18").names
    ids = torch.tensor([names.index(n) for n in NAMES], dtype=torch.uint8)
    valid = torch.ones(1, *distance.shape, dtype=torch.bool)
    image = torch.tensor(COLORS, dtype=torch.uint8)[wall].movedim(-1, 0)
    return Sample(name, image, distance[None], valid, normal.float(), valid, ids[wall])


def write_rooms(root: Path, count: int = 2, height: int = 64) -> Path:
    """A rooms data set of `count` frames that all show this room."""
    root.mkdir(parents=True, exist_ok=True)
    distance, normal, wall = (a.numpy() for a in cast(panorama_rays(height)))
    pictures = {
        ".jpg": np.array(COLORS, np.uint8)[wall][..., ::-1],
        "_depth.png": np.rint(distance * 1000).astype(np.uint16),
        "_normal.png": np.rint((normal[::-1] + 1) * 127.5).astype(np.uint8).transpose(1, 2, 0),
        "_semantic.png": np.array(NYU_IDS, np.uint8)[wall],
    }
    for number in range(count):
        for suffix, picture in pictures.items():
            cv2.imwrite(str(root / f"{number:06d}{suffix}"), picture)
    lines = [json.dumps({"name": f"{n:06d}", "room": n}) for n in range(count)]
    (root / "index.jsonl").write_text("\n".join(lines) + "\n")
    return root
