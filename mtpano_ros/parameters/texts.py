"""Parameters whose text has a meaning of its own: frames, heights, rotations, views."""

from __future__ import annotations

import re
from math import isfinite, radians
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import about_axis
from mtpano_model.pictures.size import Size, parse_size
from mtpano_model.robot.scale import check_camera_height

if TYPE_CHECKING:
    from mtpano_model.robot.views import View

Rotation = NDArray[np.float64]
_FRAME = re.compile(r"/?[A-Za-z_][A-Za-z0-9_/.-]{0,250}")


def check_frame(parameter: str, name: str, sent: bool = False) -> str:
    """The name of a TF frame; MtpanoError if no frame can have it.

    sent: the name is sent in messages. A slash at its start is then refused, as tf2 refuses it;
    look-ups accept it.
    """
    if sent and name.startswith("/"):
        raise MtpanoError(
            f"parameter {parameter} is {name[:80]!r}, which tf2 refuses: expected {name[1:81]!r}, "
            "without the slash"
        )
    if not _FRAME.fullmatch(name):
        raise MtpanoError(
            f"parameter {parameter} is {name[:80]!r}, expected the name of a TF frame such as "
            "base_footprint"
        )
    return name


def parse_camera_height(text: str) -> float | str | None:
    """Metres, the name of a frame on the floor, or None for an empty text."""
    if not text.strip():
        return None
    try:
        # float() alone would take 1_0 and the digits of other scripts.
        metres = float(text if text.isascii() and "_" not in text else "")
    except ValueError:
        return check_frame("camera_height", text)
    try:
        return check_camera_height(metres)
    except MtpanoError as error:
        raise MtpanoError(f"parameter camera_height: {error}") from None


def parse_rotation(text: str) -> Rotation | None:
    """[3, 3] of roll, pitch and yaw in degrees (fixed axes x, y, z, as URDF has it); None if empty.

    It rotates vectors of the mounted part into the axes that it is mounted in.
    """
    if not text.strip():
        return None
    try:
        roll, pitch, yaw = (_angle(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise MtpanoError(
            f"parameter attitude.imu_rotation is {text[:80]!r}, expected roll, pitch and yaw in "
            "degrees, such as 0 0 90"
        ) from None
    turn: Rotation = about_axis(2, yaw) @ about_axis(1, pitch) @ about_axis(0, roll)
    return turn


def _angle(degrees: str) -> float:
    angle = radians(float(degrees))
    if not isfinite(angle):
        raise ValueError(degrees)
    return angle


def parse_views(layout: str, size: str) -> tuple[View, ...]:
    """The pinhole views that `views.layout` names; a preset's views have `views.size`.

    MtpanoError for a text that names no views.
    """
    text, common = layout.strip(), _size("views.size", size)
    if not text:
        return ()
    from mtpano_model.robot.views import PRESETS, check_views, cube_views, four_views

    if text in PRESETS:
        return four_views(size=common) if text == "four" else cube_views(common)
    views = tuple(_view(part) for part in text.split(";") if part.strip())
    check_views(views)
    return views


def _view(text: str) -> View:
    from mtpano_model.robot.views import View

    try:
        name, yaw, pitch, fov, size = text.split()
        angles = float(yaw), float(pitch), float(fov)
    except ValueError:
        raise MtpanoError(
            f"parameter views.layout has {text.strip()[:80]!r}, expected four, cube, or views as "
            "NAME YAW PITCH FOV HEIGHTxWIDTH (degrees, pixels) with a semicolon between them"
        ) from None
    return View(name, *angles, _size("views.layout", size))


def _size(parameter: str, text: str) -> Size:
    try:
        return parse_size(text)
    except MtpanoError as error:
        raise MtpanoError(f"parameter {parameter}: {error}") from None
