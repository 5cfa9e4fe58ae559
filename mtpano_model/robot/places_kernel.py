"""Where turned rays meet a panorama, as parts of loops that numba compiles.

To find the places anew for every image costs less than to read them from memory, so an attitude
that changes with every image costs nothing more.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np

from mtpano_model.inference.compiled import part

_PI, _HALF_PI = np.float32(np.pi), np.float32(np.pi / 2)
_TINY = np.float32(1e-12)
_ZERO, _HALF = np.float32(0), np.float32(0.5)
# atan(t) / t as a polynomial of t * t up to 1: off by 2e-6.
_FIT = np.polynomial.Chebyshev.interpolate(lambda s: np.arctan(np.sqrt(s)) / np.sqrt(s), 5, (0, 1))
_A0, _A1, _A2, _A3, _A4, _A5 = _FIT.convert(kind=np.polynomial.Polynomial).coef.astype(np.float32)


@part
def arc_tangent(y, x):
    """atan2 out of selections and arithmetic alone, which become vector instructions."""
    steep = abs(y) > abs(x)
    small = abs(x) if steep else abs(y)
    large = abs(y) if steep else abs(x)
    ratio = small / (large + _TINY)
    s = ratio * ratio
    angle = ratio * (_A0 + s * (_A1 + s * (_A2 + s * (_A3 + s * (_A4 + s * _A5)))))
    angle = _HALF_PI - angle if steep else angle
    angle = _PI - angle if x < _ZERO else angle
    return -angle if y < _ZERO else angle


@part
def by_longitude(turn, longitudes, out):
    """What each longitude adds to x, y and z of turn @ ray where its latitude is 0, out [3, W]."""
    for k in range(3):
        for j in range(longitudes.shape[1]):
            out[k, j] = turn[k, 0] * longitudes[0, j] + turn[k, 2] * longitudes[1, j]


@part
def places(turn, across, sine, cosine, height, width, columns, rows):
    """Columns and rows in a panorama of height x width where the rays of one latitude meet it.

    across: see `by_longitude`; sine and cosine are the latitude's. Counted from a border of one
    pixel all around, with 0 a pixel's centre: 0.5 to W + 0.5, and to H + 0.5.
    """
    columns_a_radian, rows_a_radian = np.float32(width) / (_PI + _PI), np.float32(height) / _PI
    middle = np.float32(width) * _HALF + _HALF
    for j in range(columns.shape[0]):
        x = cosine * across[0, j] - sine * turn[0, 1]
        y = cosine * across[1, j] - sine * turn[1, 1]
        z = cosine * across[2, j] - sine * turn[2, 1]
        columns[j] = arc_tangent(x, z) * columns_a_radian + middle
        rows[j] = arc_tangent(np.sqrt(x * x + z * z), -y) * rows_a_radian + _HALF
