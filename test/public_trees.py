"""Tiny trees of public data sets, each in its set's exact layout and encoding.

The scene is a box room with known depth, normals and classes, so every pixel has a right answer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry.sphere import rays, yaw_matrix

SIZE = (32, 64)
WALL, FLOOR, CEILING = 1, 2, 22  # NYU40 ids as stored
HOLE = (slice(10, 14), slice(5, 9))  # no depth, no normal, no label here
INSTANCES = ["<UNK>_0_<UNK>_0_0", "wall_1_office_3_1", "ceiling_1_office_3_1", "floor_1_office_3_1"]


class Room:
    """A box around the camera: x from -2 to 3, z from -4 to 5, floor 1 m down, ceiling 1.5 up."""

    def __init__(self) -> None:
        ray = rays(*SIZE).astype(np.float64)
        faces = np.where(ray > 0, [3.0, 1.0, 5.0], [2.0, 1.5, 4.0])
        distance = faces / np.maximum(np.abs(ray), 1e-9)
        axis = distance.argmin(-1)
        self.depth = np.take_along_axis(distance, axis[..., None], -1)[..., 0]
        self.normals = np.zeros((*SIZE, 3))
        sign = -np.sign(np.take_along_axis(ray, axis[..., None], -1))
        np.put_along_axis(self.normals, axis[..., None], sign, -1)
        self.nyu = np.where(axis == 1, np.where(ray[..., 1] > 0, FLOOR, CEILING), WALL)
        self.rgb = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
        self.hole = np.zeros(SIZE, bool)
        self.hole[HOLE] = True


def write(path: Path, array: NDArray[Any]) -> None:
    """Write a picture; colours are given as RGB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array[..., ::-1] if array.ndim == 3 else array)


def encode_normals(normals: NDArray[Any], hole: NDArray[np.bool_]) -> NDArray[np.uint8]:
    encoded = np.round((normals + 1) * 127.5).astype(np.uint8)
    encoded[hole] = 128
    return encoded


def released(normals: NDArray[Any]) -> NDArray[Any]:
    """Optical -> x forward, y up, z left."""
    return np.stack([normals[..., 2], -normals[..., 1], -normals[..., 0]], -1)


def write_structured3d(root: Path, scene: str, room: Room, name: str = "485142") -> Path:
    folder = root / f"scene_{scene}" / "2D_rendering" / name / "panorama" / "full"
    write(folder / "rgb_rawlight.png", room.rgb)
    write(folder / "depth.png", np.where(room.hole, 0, room.depth * 1000).round().astype(np.uint16))
    write(folder / "normal.png", encode_normals(released(room.normals), room.hole))
    write(folder / "semantic.png", np.where(room.hole, 0, room.nyu).astype(np.uint8))
    return folder


def write_matterport3d(root: Path, scan: str, viewpoint: str, room: Room) -> None:
    write(root / "mp3d_results_panoramas" / scan / f"{viewpoint}_panorama.jpg", room.rgb)
    labels = root / "mp3d_aligned_labels" / scan
    depth = np.where(room.hole, 0, room.depth * 1000).round().astype(np.uint16)
    write(labels / "depth" / f"{viewpoint}_depth.png", depth)
    normals = encode_normals(released(room.normals), room.hole)
    write(labels / "normal" / f"{viewpoint}_normal.png", normals)
    semantic = np.where(room.hole, 0, room.nyu).astype(np.uint8)
    write(labels / "semantic" / f"{viewpoint}_semantic.png", semantic)


def write_stanford2d3d(root: Path, area: str, room: Room, yaw: float = 0.7) -> str:
    """World: z up; the camera looks along a world direction turned by `yaw`."""
    stem = "camera_0a70cd8d4f2b48239aaa5db59719158a_office_12_frame_equirectangular_domain"
    pano = root / area / "pano"
    write(pano / "rgb" / f"{stem}_rgb.png", room.rgb)
    depth = np.where(room.hole, 65535, np.round(room.depth * 512)).astype(np.uint16)
    write(pano / "depth" / f"{stem}_depth.png", depth)
    # x right, y down, z forward of a level camera in a world with z up, then turned about z.
    level = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    camera_from_world = yaw_matrix(yaw) @ level
    world_normals = room.normals @ camera_from_world  # rows: n_world = R^T n_camera
    write(pano / "normal" / f"{stem}_normals.png", encode_normals(world_normals, room.hole))
    index = np.select([room.nyu == WALL, room.nyu == CEILING], [1, 2], 3)
    index[room.hole] = 0x0D0D0D
    codes = np.stack([index >> 16, index >> 8 & 255, index & 255], -1).astype(np.uint8)
    write(pano / "semantic" / f"{stem}_semantic.png", codes)
    translation = -camera_from_world @ np.array([[1.0], [2.0], [1.5]])
    pose = {"camera_rt_matrix": np.hstack([camera_from_world, translation]).tolist()}
    (pano / "pose").mkdir(parents=True, exist_ok=True)
    (pano / "pose" / f"{stem}_pose.json").write_text(json.dumps(pose))
    (root / "assets").mkdir(exist_ok=True)
    (root / "assets" / "semantic_labels.json").write_text(json.dumps(INSTANCES))
    return stem
