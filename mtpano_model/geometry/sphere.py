"""Equirectangular pixels, rays and frames, in numpy.

Everything in this project lives in the panorama's **optical frame**: x right, y down, z forward at
the image centre. Longitude grows to the right, latitude grows upward, pixel centres are at half
integers:

    lon = ((j + 0.5) / W - 0.5) * 2 pi      lat = (0.5 - (i + 0.5) / H) * pi
    ray = (cos lat sin lon, -sin lat, cos lat cos lon)

Depth is the Euclidean range along that ray, in metres.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def longitudes(width: int) -> Array:
    """Longitude of every column centre, radians in (-pi, pi), shape [W]."""
    return ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi


def latitudes(height: int) -> Array:
    """Latitude of every row centre, radians, +pi/2 up, shape [H]."""
    return (0.5 - (np.arange(height) + 0.5) / height) * np.pi


@lru_cache(maxsize=16)
def rays(height: int, width: int) -> NDArray[np.float32]:
    """Unit ray of every pixel in the optical frame, shape [H, W, 3], read-only."""
    lat, lon = latitudes(height)[:, None], longitudes(width)[None, :]
    ray = np.empty((height, width, 3), np.float32)
    ray[..., 0] = np.cos(lat) * np.sin(lon)
    ray[..., 1] = -np.sin(lat)
    ray[..., 2] = np.cos(lat) * np.cos(lon)
    ray.flags.writeable = False
    return ray


def surface_points(depth: Array, pixels: Any = ...) -> Array:
    """Surface points of pixels, metres in the optical frame: each ray times its depth.

    depth: [H, W] metres along the ray. pixels: an index into [H, W]; the points [..., 3] are those
    of these pixels. NaN gives NaN. Three others do the same for a reason: point_kernel and
    point_cloud write into a message's memory without an array in between, training.auxiliary is
    differentiated by torch.
    """
    height, width = depth.shape
    found: Array = rays(height, width)[pixels] * depth[pixels][..., None]
    return found


def project(directions: Array, height: int, width: int) -> tuple[Array, Array]:
    """Continuous pixel coordinates (column, row) where directions [..., 3] meet the panorama.

    Integer + 0.5 is a pixel centre, as in OpenGL; columns lie in [0, W], rows in [0, H].
    Directions need not be unit vectors; the zero vector gives NaN.
    """
    x, y, z = np.moveaxis(np.asarray(directions, np.float64), -1, 0)
    norm = np.sqrt(x * x + y * y + z * z)
    with np.errstate(invalid="ignore", divide="ignore"):
        lat = np.arcsin(np.clip(-y / norm, -1.0, 1.0))
    lon = np.where(norm > 0, np.arctan2(x, z), np.nan)
    return (lon / (2 * np.pi) + 0.5) * width, (0.5 - lat / np.pi) * height


@lru_cache(maxsize=16)
def solid_angles(height: int, width: int) -> NDArray[np.float64]:
    """Solid angle of each row's pixels in steradians, shape [H, 1]; all pixels sum to 4 pi."""
    edges = (0.5 - np.arange(height + 1) / height) * np.pi
    return ((np.sin(edges[:-1]) - np.sin(edges[1:])) * 2 * np.pi / width)[:, None]


# --- rotations -----------------------------------------------------------------------------------


def about_axis(axis: int, angle: float) -> NDArray[np.float64]:
    """[3, 3], rotates vectors of any right-handed frame about its x, y or z axis (0, 1, 2) by an
    angle in radians, counterclockwise seen against that axis."""
    turn = np.eye(3)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turn[first, first] = turn[second, second] = np.cos(angle)
    turn[second, first] = np.sin(angle)
    turn[first, second] = -turn[second, first]
    return turn


def turn_of_quaternion(x: float, y: float, z: float, w: float) -> NDArray[np.float64]:
    """The rotation matrix, [3, 3], of a unit quaternion in ROS's order."""
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def yaw_matrix(angle: float) -> NDArray[np.float64]:
    """R_y(angle), radians: rotates optical-frame vectors to the right (z towards +x)."""
    return about_axis(1, angle)


def pitch_matrix(angle: float) -> NDArray[np.float64]:
    """R_x(angle), radians: angle > 0 looks up (z towards -y)."""
    return about_axis(0, angle)


def roll_matrix(angle: float) -> NDArray[np.float64]:
    """R_z(angle), radians: angle > 0 leans right (x towards y, which points down)."""
    return about_axis(2, angle)


def yaw_of_column_shift(shift: float, width: int) -> float:
    """Yaw in radians of a panorama that is rolled `shift` pixels to the right."""
    return 2 * np.pi * shift / width


# --- frames --------------------------------------------------------------------------------------

# Each matrix turns a vector of the named frame into the optical frame: v_optical = M @ v.
OPTICAL_FROM = {
    "optical": np.eye(3),
    # REP-103 body: x forward, y left, z up.
    "body": np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]),
    # The authors' normals: x forward, y up, z left (left-handed).
    "released_normals": np.array([[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]),
    # OpenGL's camera: x right, y up, z backward.
    "opengl": np.diag([1.0, -1.0, -1.0]),
    # The authors' point map: x right, y down, z backward.
    "released_points": np.diag([1.0, 1.0, -1.0]),
}


def frame_matrix(source: str, target: str) -> NDArray[np.float64]:
    """3x3 matrix M with v_target = M @ v_source; frames: keys of OPTICAL_FROM, or MtpanoError."""
    for name in (source, target):
        if name not in OPTICAL_FROM:
            raise ValueError(f"unknown frame '{name}': expected one of {', '.join(OPTICAL_FROM)}")
    return OPTICAL_FROM[target].T @ OPTICAL_FROM[source]
