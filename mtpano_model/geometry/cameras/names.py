"""Makes a lens from the model names and parameter orders of Kalibr, ROS and Foxglove."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.cameras.camera import Camera
from mtpano_model.geometry.cameras.projections import PROJECTIONS

# Names without their case, spaces, hyphens and underscores.
_MODELS = {
    "pinhole": "pinhole",
    "perspective": "pinhole",
    "plumbbob": "pinhole",
    "rationalpolynomial": "pinhole",
    "radtan": "pinhole",
    "brownconrady": "pinhole",
    "equidistant": "equidistant",
    "equi": "equidistant",
    "fisheye": "equidistant",
    "opencvfisheye": "equidistant",
    "kannalabrandt": "equidistant",
    "kannalabrandt4": "equidistant",
    "kb": "equidistant",
    "kb4": "equidistant",
    "eucm": "eucm",
    "extendedunified": "eucm",
    "enhancedunified": "eucm",
    "ds": "ds",
    "doublesphere": "ds",
    "omni": "omni",
    "omnidirectional": "omni",
    "mei": "omni",
    "unified": "omni",
}
_UNDISTORTED = ("", "none")
_RADTAN = ("radtan", "plumbbob", "rationalpolynomial", "brownconrady")


def model_name(name: str) -> str:
    """Our name of a lens model; MtpanoError for an unknown model."""
    model = _MODELS.get(_plain(name))
    if model is None:
        raise MtpanoError(
            f"camera model '{name}' is unknown: expected {', '.join(PROJECTIONS)}, or a name that "
            "ROS, Kalibr or Foxglove has for one of them"
        )
    return model


def camera_from_kalibr(
    model: str,
    intrinsics: Sequence[float],
    size: tuple[int, int],
    distortion_model: str = "",
    distortion: Sequence[float] = (),
    field_of_view: float | None = None,
) -> Camera:
    """A lens with its parameters in Kalibr's order; size: (H, W).

    intrinsics: pinhole and equidistant [fu fv pu pv], eucm [alpha beta fu fv pu pv], ds [xi alpha
    fu fv pu pv], omni [xi fu fv pu pv]. Kalibr's `pinhole` with `equi` is our equidistant.
    """
    ours, kind = model_name(model), _plain(distortion_model)
    if ours == "pinhole" and _MODELS.get(kind) == "equidistant":
        ours = "equidistant"
    polynomial = PROJECTIONS[ours].polynomial
    fits = {
        "radtan": kind in _RADTAN,
        "kannala_brandt": _MODELS.get(kind) == "equidistant",
        "": False,
    }[polynomial]
    if kind not in _UNDISTORTED and not fits and any(distortion):
        raise MtpanoError(
            f"distortion model '{distortion_model}' of a {ours} lens is not supported: expected "
            + {"radtan": "radtan", "kannala_brandt": "equi", "": "none"}[polynomial]
        )
    shape = PROJECTIONS[ours].shape
    if len(intrinsics) != len(shape) + 4:
        raise MtpanoError(
            f"the {ours} lens has {len(intrinsics)} intrinsics, expected {len(shape) + 4}: "
            f"{', '.join((*shape, 'fu', 'fv', 'pu', 'pv'))}"
        )
    own, (fu, fv, pu, pv) = tuple(intrinsics[: len(shape)]), intrinsics[len(shape) :]
    kept = tuple(distortion) if polynomial else ()
    return Camera(ours, size, (fu, fv), (pu, pv), own, kept, field_of_view)


def camera_from_ros(
    distortion_model: str,
    size: tuple[int, int],
    k: Sequence[float],
    d: Sequence[float],
    field_of_view: float | None = None,
    binning: tuple[int, int] = (0, 0),
    roi: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> Camera:
    """A lens from the values of a sensor_msgs/CameraInfo.

    size: (height, width), both of the whole sensor. k: the nine of the 3x3 matrix, row by row.
    binning: (binning_x, binning_y), 0 as 1. roi: (y_offset, x_offset, height, width), zeros: all.
    The lens is that of the delivered picture, cropped and binned. MtpanoError if the camera is
    not calibrated or has a skew.
    """
    if len(k) != 9 or not k[0] or not k[4]:
        raise MtpanoError(
            f"camera_info has k {list(k)}, which means that the camera is not calibrated: "
            "calibrate it, or describe its lens in the rig file"
        )
    if k[1]:
        raise MtpanoError(f"camera_info has a skew of {k[1]}, expected 0: calibrate without skew")
    model = "pinhole" if _plain(distortion_model) in _UNDISTORTED else model_name(distortion_model)
    if PROJECTIONS[model].shape:
        raise MtpanoError(
            f"camera_info names the model '{distortion_model}', which has parameters that a "
            "CameraInfo cannot hold: describe this lens in the rig file"
        )
    top, left, height, width = roi
    if not height or not width:
        top, left, height, width = 0, 0, *size
    across, down = (max(1, one) for one in binning)
    return Camera(
        model,
        (height // down, width // across),
        (k[0] / across, k[4] / down),
        ((k[2] - left + 0.5) / across - 0.5, (k[5] - top + 0.5) / down - 0.5),
        (),
        _trimmed(tuple(d), model),
        field_of_view,
    )


def _trimmed(d: tuple[float, ...], model: str) -> tuple[float, ...]:
    """The coefficients without the zeros that some drivers append, or send for no distortion."""
    if not any(d):
        return ()
    if model == "equidistant":
        return d[:4] if not any(d[4:]) else d
    return d[:8] if not any(d[8:]) else d


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]", "", name.lower())
