"""The five ways from a ray's angle to a radius in the image plane, before any distortion.

Every model here is symmetric about its axis: a unit ray at angle t from the axis falls on the
radius r(t) of the plane that a focal length of one would give.

    pinhole      r = tan t
    equidistant  r = t
    eucm         r = sin t / (alpha sqrt(beta sin^2 t + cos^2 t) + (1 - alpha) cos t)
    ds           r = sin t / (alpha sqrt(sin^2 t + s^2) + (1 - alpha) s),  s = xi + cos t
    omni         r = sin t / (cos t + xi)

eucm: Khomutenko, Garcia, Martinet, "An Enhanced Unified Camera Model" (2016). ds: Usenko, Demmel,
Cremers, "The Double Sphere Camera Model" (2018), eqs. 40 to 52; the limits of both are there too.
omni: Mei and Rives, "Single View Point Omnidirectional Camera Calibration" (2007). equidistant:
Kannala and Brandt (2006).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Shape = tuple[float, ...]


class Projection(NamedTuple):
    """One model. shape: the names of its own parameters, in Kalibr's order.

    radius: (sin t, cos t, shape) -> r. angle: (r, shape) -> t, NaN where no ray falls.
    limit: the angle in radians up to which r(t) is defined and grows. polynomial: what distorts r:
    radtan, kannala_brandt (of the angle) or "" for none.
    """

    shape: tuple[str, ...]
    radius: Callable[[Floats, Floats, Shape], Floats]
    angle: Callable[[Floats, Shape], Floats]
    limit: Callable[[Shape], float]
    polynomial: str


def _pinhole_radius(sin: Floats, cos: Floats, _: Shape) -> Floats:
    return sin / cos


def _equidistant_radius(sin: Floats, cos: Floats, _: Shape) -> Floats:
    return np.arctan2(sin, cos)


def _eucm_radius(sin: Floats, cos: Floats, shape: Shape) -> Floats:
    alpha, beta = shape
    return sin / (alpha * np.sqrt(beta * sin**2 + cos**2) + (1 - alpha) * cos)


def _eucm_angle(r: Floats, shape: Shape) -> Floats:
    alpha, beta = shape
    square = r * r
    z = (1 - beta * alpha**2 * square) / (
        alpha * np.sqrt(1 - (2 * alpha - 1) * beta * square) + 1 - alpha
    )
    return np.arctan2(r, z)


def _eucm_limit(shape: Shape) -> float:
    alpha, beta = shape
    w = _half_ratio(alpha)
    return math.acos(max(-1.0, -w * math.sqrt(beta / (1 - w * w + w * w * beta))))


def _ds_radius(sin: Floats, cos: Floats, shape: Shape) -> Floats:
    xi, alpha = shape
    s = xi + cos
    return sin / (alpha * np.sqrt(sin**2 + s**2) + (1 - alpha) * s)


def _ds_angle(r: Floats, shape: Shape) -> Floats:
    xi, alpha = shape
    square = r * r
    z = (1 - alpha**2 * square) / (alpha * np.sqrt(1 - (2 * alpha - 1) * square) + 1 - alpha)
    scale = (z * xi + np.sqrt(z * z + (1 - xi * xi) * square)) / (z * z + square)
    return np.arctan2(scale * r, scale * z - xi)


def _ds_limit(shape: Shape) -> float:
    xi, alpha = shape
    w = _half_ratio(alpha)
    return math.acos(max(-1.0, -(w + xi) / math.sqrt(2 * w * xi + xi * xi + 1)))


def _omni_radius(sin: Floats, cos: Floats, shape: Shape) -> Floats:
    return sin / (cos + shape[0])


def _omni_angle(r: Floats, shape: Shape) -> Floats:
    xi = shape[0]
    square = r * r
    scale = (xi + np.sqrt(1 + (1 - xi * xi) * square)) / (square + 1)
    return np.arctan2(scale * r, scale - xi)


def _omni_limit(shape: Shape) -> float:
    xi = shape[0]
    return math.acos(-xi if xi <= 1 else -1 / xi)


def _half_ratio(alpha: float) -> float:
    return alpha / (1 - alpha) if alpha <= 0.5 else (1 - alpha) / alpha


PROJECTIONS: dict[str, Projection] = {
    "pinhole": Projection(
        (), _pinhole_radius, lambda r, _: np.arctan(r), lambda _: math.pi / 2, "radtan"
    ),
    "equidistant": Projection(
        (), _equidistant_radius, lambda r, _: r, lambda _: math.pi, "kannala_brandt"
    ),
    "eucm": Projection(("alpha", "beta"), _eucm_radius, _eucm_angle, _eucm_limit, ""),
    "ds": Projection(("xi", "alpha"), _ds_radius, _ds_angle, _ds_limit, ""),
    "omni": Projection(("xi",), _omni_radius, _omni_angle, _omni_limit, "radtan"),
}
