"""Kalibr's camchain: lenses, and their poses from T_cn_cnm1 or T_cam_imu."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.cameras import camera_from_kalibr
from mtpano_model.rig.rig import Lens, Rig
from mtpano_model.rig.values import is_rotation, numbers


def is_camchain(content: Mapping[str, Any]) -> bool:
    """Whether a YAML file's content is a camchain."""
    return isinstance(content.get("cam0"), Mapping) and "intrinsics" in content["cam0"]


def rig_from_camchain(content: Mapping[str, Any]) -> Rig:
    """The rig; its panorama has cam0's orientation and lies in the middle between the lenses.

    MtpanoError if a lens or pose is missing or invalid."""
    names = sorted(
        (str(key) for key in content if re.fullmatch("cam[0-9]{1,9}", str(key))),
        key=lambda key: int(key[3:]),
    )
    for name in names:
        if not isinstance(content[name], Mapping) or "intrinsics" not in content[name]:
            raise MtpanoError(f"{name} has no intrinsics: calibrate the lenses together")
    poses, lenses = _poses(content, names), []
    center = np.mean([pose[:3, 3] for pose in poses], axis=0)
    for name, pose in zip(names, poses, strict=True):
        said = content[name]
        size = numbers(said.get("resolution"), f"{name}: resolution", 2)
        if not all(1 <= side < 1e6 for side in size):
            raise MtpanoError(f"{name}: resolution is {list(size)}, expected [width, height]")
        try:
            camera = camera_from_kalibr(
                str(said.get("camera_model", "pinhole")),
                numbers(said["intrinsics"], "intrinsics"),
                (int(size[1]), int(size[0])),
                str(said.get("distortion_model", "none")),
                numbers(said.get("distortion_coeffs", []), "distortion_coeffs"),
            )
        except MtpanoError as error:
            raise MtpanoError(f"{name}: {error}") from error
        topic = str(said.get("rostopic", f"/{name}"))
        lenses.append(Lens(name, camera, pose[:3, :3], pose[:3, 3] - center, topic))
    return Rig(tuple(lenses))


def _poses(content: Mapping[str, Any], names: list[str]) -> list[NDArray[np.float64]]:
    """Every lens's pose [4, 4] in the frame of the first: p_cam0 = pose @ p_cam."""
    if all("T_cam_imu" in content[name] for name in names):
        imu = [_transform(content[name]["T_cam_imu"], f"{name}: T_cam_imu") for name in names]
        return [imu[0] @ np.linalg.inv(one) for one in imu]
    poses = [np.eye(4)]
    for name in names[1:]:
        if "T_cn_cnm1" not in content[name]:
            raise MtpanoError(
                f"{name} has neither T_cn_cnm1 nor, with all the others, T_cam_imu: its pose is "
                "unknown, calibrate the lenses together"
            )
        step = _transform(content[name]["T_cn_cnm1"], f"{name}: T_cn_cnm1")
        poses.append(poses[-1] @ np.linalg.inv(step))
    return poses


def _transform(value: Any, name: str) -> NDArray[np.float64]:
    if not isinstance(value, list) or len(value) != 4:
        raise MtpanoError(f"{name} is {value!r}, expected four rows of four numbers")
    matrix = np.array([numbers(row, name, 4) for row in value])
    if not is_rotation(matrix[:3, :3]):
        raise MtpanoError(f"the rotation in {name} is not a rotation: expected orthonormal rows")
    if not np.isfinite(matrix).all() or not np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-3):
        raise MtpanoError(
            f"{name} is {value!r}, expected finite numbers, and 0, 0, 0, 1 in the last row"
        )
    return matrix
