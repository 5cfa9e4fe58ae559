"""The frame of a cloud or a scan, and the transform to it from the camera.

"" is the image's own frame, in the axes of `outputs.frame_convention`. "body" is `<frame>_body`, x
ahead, y left, z up at the camera, which the node publishes itself. Any other frame is looked up in
TF at the image's stamp; if that fails, the output is sent in the image's own frame, and
/diagnostics reports it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from mtpano_model.geometry.sphere import OPTICAL_FROM
from mtpano_model.robot.transforms import Transform, TransformError
from mtpano_model.robot.turning import level_rotation
from mtpano_ros.outputs.base import Result

BODY = "body"
_LARGEST_OFFSET = 0.02  # metres


class Place(NamedTuple):
    """convention: the axes to pack points in. then: transform from these to the header's frame."""

    header: Header
    convention: str
    then: Transform | None = None


def frame_named(frame: str, kind: str) -> str:
    """The name of a frame that the node publishes at the camera."""
    return f"{frame or 'camera'}_{kind}"


def place(result: Result, name: str) -> Place:
    """The place of a cloud whose frame the parameters call `name`."""
    header, convention = result.header, result.parameters.outputs.frame_convention
    if not name:
        return Place(header, convention)
    if name in (BODY, frame_named(header.frame_id, BODY)):
        return body_place(result)
    try:
        found = result.mounting.transforms.wait_for(name, header.frame_id, result.pose.stamp)
    except TransformError as error:
        result.untransformed(str(error))
        return Place(header, convention)
    return Place(Header(stamp=header.stamp, frame_id=name), convention, found)


def body_place(result: Result) -> Place:
    """The camera's own body frame, or the image's frame if that has a body's axes already."""
    header = result.header
    if result.parameters.outputs.frame_convention == BODY:
        return Place(header, BODY)
    child = frame_named(header.frame_id, BODY)
    result.mounting.transforms.publish(
        header.frame_id, child, OPTICAL_FROM[BODY], header.stamp, static=True
    )
    return Place(Header(stamp=header.stamp, frame_id=child), BODY)


def upright_place(result: Result, name: str) -> tuple[Header, NDArray[np.float64]]:
    """(header, [3, 3] from the optical frame) of an upright frame at the camera, for a scan.

    With `level` this frame turns with the robot and is published for every image; otherwise it is
    the body frame. A frame of another name must lie at the camera, since rays start at its origin.
    """
    header, to_body = result.header, OPTICAL_FROM[BODY].T
    convention = OPTICAL_FROM[result.parameters.outputs.frame_convention]
    if name:
        try:
            found = result.mounting.transforms.wait_for(name, header.frame_id, result.pose.stamp)
            offset = float(np.linalg.norm(found.translation))
            if offset > _LARGEST_OFFSET:
                raise TransformError(
                    f"scan.frame '{name}' lies {offset:.2f} m away from the camera, expected a "
                    "frame at the camera, since the rays of a scan start at its origin"
                )
        except TransformError as error:
            result.untransformed(str(error))
        else:
            moved = Header(stamp=header.stamp, frame_id=name)
            return moved, found.matrix @ convention.T
    if result.parameters.level == "off":
        return body_place(result).header, to_body
    child = frame_named(header.frame_id, "level")
    turn = to_body @ level_rotation(result.pose.attitude.down)
    result.mounting.transforms.publish(
        header.frame_id, child, convention.T @ turn.T, header.stamp, static=False
    )
    return Header(stamp=header.stamp, frame_id=child), turn
