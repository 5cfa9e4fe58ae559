"""Distortion of the image plane: radial and tangential, or Kannala and Brandt's of the angle.

radtan: OpenCV's order k1 k2 p1 p2 k3 k4 k5 k6, with r the radius in the plane,
    g = (1 + k1 r^2 + k2 r^4 + k3 r^6) / (1 + k4 r^2 + k5 r^4 + k6 r^6)
    x' = x g + 2 p1 x y + p2 (r^2 + 2 x^2),  y' = y g + p1 (r^2 + 2 y^2) + 2 p2 x y.
Kannala-Brandt: t' = t (1 + k1 t^2 + k2 t^4 + k3 t^6 + k4 t^8).
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_NEWTON_STEPS = 12


class Growth:
    """An odd function r -> r' that grows from 0 up to `limit`, and its inverse there."""

    def __init__(self, top: Polynomial, bottom: Polynomial, limit: float) -> None:
        self._top, self._bottom = top, bottom
        slope = top.deriv() * bottom - top * bottom.deriv()
        ends = [limit] + [
            float(root.real)
            for root in np.append(slope.roots(), bottom.roots())
            if abs(root.imag) < 1e-9 and root.real > 0
        ]
        self._slope = slope
        self.limit = min(ends)

    def __call__(self, r: Floats) -> Floats:
        """The distorted radius."""
        return self._top(r) / self._bottom(r)

    def slope(self, r: Floats) -> Floats:
        """Derivative of the distorted radius."""
        return self._slope(r) / self._bottom(r) ** 2

    def invert(self, distorted: Floats, table: Floats) -> Floats:
        """The radius of a distorted one; table: increasing radii, for the first guess."""
        r = np.interp(distorted, self(table), table)
        for _ in range(_NEWTON_STEPS):
            slope = np.maximum(self.slope(r), 1e-6)
            r = np.clip(r - (self(r) - distorted) / slope, 0, table[-1])
        return r


def kannala_brandt(coefficients: tuple[float, ...], limit: float) -> Growth:
    """t -> t', t in radians from 0 to `limit` at most."""
    powers = np.zeros(2 * len(coefficients) + 2)
    powers[1] = 1.0
    powers[3::2] = coefficients
    return Growth(Polynomial(powers), Polynomial([1.0]), limit)


class RadTan:
    """Radial and tangential distortion of points of the plane, up to the radius `limit`."""

    def __init__(self, coefficients: tuple[float, ...], limit: float) -> None:
        k1, k2, self._p1, self._p2, k3, k4, k5, k6 = (*coefficients, *[0.0] * 8)[:8]
        top = Polynomial([0, 1, 0, k1, 0, k2, 0, k3])
        self._radial = Growth(top, Polynomial([1, 0, k4, 0, k5, 0, k6]), limit)
        self.limit = self._radial.limit

    def distort(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """The distorted places of points in the plane."""
        square = x * x + y * y
        r = np.sqrt(square)
        gain = np.divide(self._radial(r), r, out=np.ones_like(r), where=r > 0)
        return (
            x * gain + 2 * self._p1 * x * y + self._p2 * (square + 2 * x * x),
            y * gain + self._p1 * (square + 2 * y * y) + 2 * self._p2 * x * y,
        )

    def undistort(self, x: Floats, y: Floats, table: Floats) -> tuple[Floats, Floats, Floats]:
        """The points that are distorted to (x, y), and the remaining error of each.

        table: increasing radii up to the limit. Newton's method, from the radial part's solution.
        """
        radius = np.hypot(x, y)
        start = self._radial.invert(radius, table)
        scale = np.divide(start, radius, out=np.ones_like(radius), where=radius > 0)
        u, v = x * scale, y * scale
        for _ in range(_NEWTON_STEPS):
            du, dv = self.distort(u, v)
            (xx, xy), (yx, yy) = self._jacobian(u, v)
            determinant = xx * yy - xy * yx
            determinant = np.where(np.abs(determinant) < 1e-9, 1e-9, determinant)
            u = u - (yy * (du - x) - xy * (dv - y)) / determinant
            v = v - (xx * (dv - y) - yx * (du - x)) / determinant
            outside = np.maximum(np.hypot(u, v) / table[-1], 1.0)
            u, v = u / outside, v / outside
        du, dv = self.distort(u, v)
        return u, v, np.hypot(du - x, dv - y)

    def _jacobian(
        self, x: Floats, y: Floats
    ) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
        r = np.hypot(x, y)
        safe = np.where(r > 0, r, 1.0)
        gain = np.where(r > 0, self._radial(r) / safe, 1.0)
        curve = np.where(r > 0, (self._radial.slope(r) - gain) / safe**2, 0.0)
        mixed = x * y * curve + 2 * self._p1 * x + 2 * self._p2 * y
        return (
            (gain + x * x * curve + 2 * self._p1 * y + 6 * self._p2 * x, mixed),
            (mixed, gain + y * y * curve + 6 * self._p1 * y + 2 * self._p2 * x),
        )
