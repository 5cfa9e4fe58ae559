"""Completes rigs with calibrations from CameraInfo and poses from TF, given as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.cameras import Camera
from mtpano_model.geometry.sphere import OPTICAL_FROM
from mtpano_model.rig.reading import quaternion_matrix
from mtpano_model.rig.rig import Rig

# Translation [x, y, z] in metres and quaternion [x, y, z, w] of a lens's optical frame.
Pose = tuple[tuple[float, float, float], tuple[float, float, float, float]]


def calibrated_rig(
    rig: Rig, cameras: Mapping[str, Camera], poses: Mapping[str, Pose], body_frame: str
) -> Rig:
    """The rig with its lenses' calibrations and poses filled in.

    cameras, poses: by name, for the lenses that wait for them. poses are those of the lenses'
    optical frames in `body_frame`, a body frame by REP-103 (x ahead, y left, z up): as
    `lookup_transform(body_frame, lens_frame)` gives them. The panorama looks ahead of that body,
    from the middle between those lenses. MtpanoError if a camera or pose is missing.
    """
    waiting = rig.uncalibrated
    for name in waiting:
        if name not in cameras:
            raise MtpanoError(
                f"lens '{name}' has no camera_info yet: is it published beside its image?"
            )
        if name not in poses:
            raise MtpanoError(
                f"TF has no transform from {body_frame} to the frame of lens '{name}': publish "
                "it, or give rotation and position in the rig file"
            )
    turn = OPTICAL_FROM["body"]
    places: dict[str, NDArray[np.float64]] = {
        name: turn @ np.array(poses[name][0], np.float64) for name in waiting
    }
    center = np.mean(list(places.values()), axis=0) if places else np.zeros(3)
    for lens in rig.lenses:
        if lens.name not in places:
            continue
        field = lens.field_of_view
        camera = cameras[lens.name]
        rig = rig.with_lens(
            replace(
                lens,
                camera=camera if field is None else replace(camera, field_of_view=field),
                rotation=turn @ quaternion_matrix(*poses[lens.name][1]),
                position=places[lens.name] - center,
            )
        )
    return rig
