"""Pictures that a rig's lenses would take of a panorama, by OpenCV's own interpolation."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from mtpano_model.geometry import sphere
from mtpano_model.geometry.cameras import Camera
from mtpano_model.pictures.files import read_picture
from mtpano_model.rig.rig import Lens, Rig

PANORAMAS = Path(__file__).parents[1] / "mtpano_ros" / "panoramas"


def bundled(name: str) -> np.ndarray:
    """One of the demo's panoramas, uint8 RGB [512, 1024, 3]."""
    return read_picture(PANORAMAS / f"{name}.jpg").rgb


@lru_cache(maxsize=2)
def _pixel_rays(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    height, width = camera.size
    return camera.unproject(*np.mgrid[0:height, 0:width][::-1])


def lens_picture(panorama: np.ndarray, lens: Lens, depth: float | None = None) -> np.ndarray:
    """What the lens sees of a panorama [H, W, 3], as its driver delivers it.

    depth: metres to the surroundings, for lenses off the centre; None: infinitely far.
    """
    assert lens.camera is not None
    rays, seen = _pixel_rays(lens.camera)
    rays = rays @ lens.rotation.T
    if depth is not None:
        # Where a sphere of that radius about the centre is met.
        along = rays @ lens.position
        square = float(lens.position @ lens.position)
        rays = lens.position + rays * (np.sqrt(along**2 - square + depth**2) - along)[..., None]
    columns, rows = sphere.project(rays, *panorama.shape[:2])
    padded = cv2.copyMakeBorder(panorama, 0, 0, 2, 2, cv2.BORDER_WRAP)
    x = np.nan_to_num(columns - 0.5 + 2, nan=0).astype(np.float32)
    y = np.nan_to_num(rows - 0.5, nan=0).astype(np.float32)
    picture = cv2.remap(padded, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    picture[~seen] = 0
    turns = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
    return picture if lens.turn == 0 else cv2.rotate(picture, turns[lens.turn])


def back_to_back(camera: Camera, baseline: float = 0.0, **settings) -> Rig:
    """Two such lenses, one looking ahead and one behind, `baseline` metres apart."""
    half = np.array([0.0, 0.0, baseline / 2])
    return Rig(
        (
            Lens("front", camera, np.eye(3), half, "front"),
            Lens("back", camera, sphere.yaw_matrix(np.pi), -half, "back"),
        ),
        **settings,
    )


def rig_pictures(panorama: np.ndarray, rig: Rig, depth: float | None = None) -> dict:
    """Topic -> picture, of lenses with a topic of their own."""
    return {lens.topic: lens_picture(panorama, lens, depth) for lens in rig.lenses}
