"""Reads rig files: our own YAML and Kalibr's camchain, distinguished by their keys."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.addresses import refuse_address
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry import sphere
from mtpano_model.geometry.cameras import Camera, camera_from_kalibr
from mtpano_model.pictures.body_mask import load_mask
from mtpano_model.pictures.size import parse_size
from mtpano_model.rig.kalibr import is_camchain, rig_from_camchain
from mtpano_model.rig.rig import WHOLE, Lens, Rig
from mtpano_model.rig.values import is_rotation, number, numbers, yaml_of

_RIG_KEYS = {
    "lenses", "kalibr", "rotation", "distance", "feather", "nearest", "wait", "tolerance",
    "body_frame",
}  # fmt: skip
_LENS_KEYS = {
    "topic", "tile", "turn", "mask", "field_of_view", "model", "size", "intrinsics",
    "distortion", "rotation", "position", "calibration",
}  # fmt: skip


def read_rig(path: str | Path) -> Rig:
    """The rig of a YAML file; MtpanoError, naming the file, for any fault in it."""
    refuse_address(str(path))
    path = Path(path)
    content = yaml_of(path, "the rig file")
    try:
        return _rig(content, path.parent)
    except MtpanoError as error:
        raise MtpanoError(f"the rig file {path}: {error}") from error


def _rig(content: Any, folder: Path) -> Rig:
    if not isinstance(content, Mapping):
        raise MtpanoError(f"it holds {type(content).__name__}, expected a mapping with `lenses`")
    if is_camchain(content):
        return rig_from_camchain(content)
    if not ({"lenses", "kalibr"} & set(content)):
        raise MtpanoError(
            f"it has the keys {', '.join(map(str, list(content)[:6]))}, expected `lenses` (see "
            "`mtpano rig template`) or Kalibr's cam0, cam1 and so on"
        )
    _known(content, _RIG_KEYS, "the rig")
    given = content.get("lenses", {})
    if not isinstance(given, Mapping):
        raise MtpanoError("`lenses` is not a mapping: expected names with lenses")
    if "kalibr" in content:
        rig = _with_overrides(_camchain(folder / str(content["kalibr"])), given, folder)
    else:
        rig = Rig(tuple(_lens(str(name), one, folder) for name, one in given.items()))
    settings: dict[str, Any] = {
        key: number(content[key], key)
        for key in ("distance", "feather", "nearest", "wait", "tolerance")
        if key in content
    }
    if "body_frame" in content:
        settings["body_frame"] = str(content["body_frame"])
    rig = replace(rig, **settings)
    return rig.turned(rotation_of(content["rotation"])) if "rotation" in content else rig


def _camchain(path: Path) -> Rig:
    content = yaml_of(path, "Kalibr's file")
    if not isinstance(content, Mapping) or not is_camchain(content):
        raise MtpanoError(f"{path} is not a camchain of Kalibr: expected cam0, cam1 and so on")
    return rig_from_camchain(content)


def _with_overrides(rig: Rig, given: Mapping[str, Any], folder: Path) -> Rig:
    """Kalibr's lenses with the further values of our file, by the names cam0, cam1 ..."""
    names = {lens.name: lens for lens in rig.lenses}
    for name, said in given.items():
        if name not in names:
            raise MtpanoError(f"lens '{name}' is not in Kalibr's file, expected {', '.join(names)}")
        _known(said, {"topic", "tile", "turn", "mask", "field_of_view"}, f"lens '{name}'")
        lens = names[name]
        assert lens.camera is not None
        field = _field_of_view(said)
        rig = rig.with_lens(
            replace(
                lens,
                camera=lens.camera if field is None else replace(lens.camera, field_of_view=field),
                **_arrival(said, folder, lens.topic),
            )
        )
    return rig


def _lens(name: str, said: Any, folder: Path) -> Lens:
    _known(said, _LENS_KEYS, f"lens '{name}'")
    try:
        if said.get("calibration", "camera_info") != "camera_info":
            raise MtpanoError(f"calibration is {said['calibration']!r}, expected camera_info")
        camera = None if "calibration" in said else _camera(said)
        return Lens(
            name,
            camera,
            rotation_of(said.get("rotation", [0, 0, 0])),
            np.array(numbers(said.get("position", [0, 0, 0]), "position", 3)),
            field_of_view=_field_of_view(said),
            **_arrival(said, folder),
        )
    except MtpanoError as error:
        text = str(error)
        raise MtpanoError(text if name in text else f"lens '{name}': {text}") from error


def _camera(said: Mapping[str, Any]) -> Camera:
    missing = [key for key in ("model", "size", "intrinsics") if key not in said]
    if missing:
        raise MtpanoError(
            f"`{missing[0]}` is missing: give model, size and intrinsics, or "
            "`calibration: camera_info`"
        )
    return camera_from_kalibr(
        str(said["model"]),
        numbers(said["intrinsics"], "intrinsics"),
        parse_size(str(said["size"])),
        "",
        numbers(said.get("distortion", []), "distortion"),
        _field_of_view(said),
    )


def _arrival(said: Mapping[str, Any], folder: Path, topic: str = "") -> dict[str, Any]:
    tile = numbers(said["tile"], "tile", 4) if "tile" in said else WHOLE
    turn, topic = said.get("turn", 0), said.get("topic", topic)
    if not isinstance(topic, str):
        raise MtpanoError(f"topic is {topic!r}, expected the name of a topic")
    mask = load_mask(folder / str(said["mask"]), True) if "mask" in said else None
    return {
        "topic": topic,
        "tile": tile,
        "turn": turn % 360 if isinstance(turn, int) else turn,
        "mask": mask,
    }


def _field_of_view(said: Mapping[str, Any]) -> float | None:
    return number(said["field_of_view"], "field_of_view") if "field_of_view" in said else None


def rotation_of(value: Any) -> NDArray[np.float64]:
    """[3, 3] from [yaw, pitch, roll] in degrees, a quaternion [x, y, z, w] or the rows of a matrix.

    yaw turns to the right, pitch up, roll leans to the right: R = yaw @ pitch @ roll. MtpanoError
    for anything else.
    """
    try:
        array = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.empty(0)
    if array.shape == (3,) and np.isfinite(array).all():
        yaw, pitch, roll = np.radians(array)
        return sphere.yaw_matrix(yaw) @ sphere.pitch_matrix(pitch) @ sphere.roll_matrix(roll)
    if array.shape == (4,):
        return quaternion_matrix(*array.tolist())
    if is_rotation(array):
        return array
    raise MtpanoError(
        f"rotation is {value!r}, expected [yaw, pitch, roll] in degrees, a quaternion "
        "[x, y, z, w] or three rows of an orthonormal matrix with determinant 1"
    )


def quaternion_matrix(x: float, y: float, z: float, w: float) -> NDArray[np.float64]:
    """[3, 3] of a quaternion in ROS's order; MtpanoError if its length is off 1 by over 1 %."""
    length = math.sqrt(x * x + y * y + z * z + w * w)
    if not abs(length - 1) < 0.01:
        raise MtpanoError(f"quaternion {[x, y, z, w]} has length {length:g}, expected 1")
    return sphere.turn_of_quaternion(x / length, y / length, z / length, w / length)


def _known(said: Any, keys: set[str], whose: str) -> None:
    if not isinstance(said, Mapping):
        raise MtpanoError(f"{whose} is {said!r}, expected a mapping")
    unknown = sorted(set(map(str, said)) - keys)
    if unknown:
        raise MtpanoError(
            f"{whose} has the key '{unknown[0]}', expected only {', '.join(sorted(keys))}"
        )
