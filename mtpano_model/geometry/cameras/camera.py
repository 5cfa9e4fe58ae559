"""One calibrated lens: rays to pixels and back."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.cameras.distortion import Growth, RadTan, kannala_brandt
from mtpano_model.geometry.cameras.projections import PROJECTIONS

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
_TABLE = 4096
_FARTHEST = 1e4  # radii of the plane beyond this are taken for infinity
_RESOLUTIONS = 1e-3, 1e6  # pixels a radian


@dataclass(frozen=True)
class Camera:
    """A lens and its picture.

    Pixels are counted as OpenCV, ROS and Kalibr count them: pixel centres at **integers**, the
    picture reaches from -0.5 to W - 0.5. Rays are in the lens's optical frame: x right, y down, z
    ahead along the axis.

    model: a key of PROJECTIONS. size: (H, W). focal: (fx, fy) and center: (cx, cy) in pixels.
    shape: the model's own parameters. distortion: radtan (k1 k2 p1 p2 k3 k4 k5 k6, at least four)
    for pinhole and omni, k1 to k4 for equidistant. field_of_view: degrees of the cone that the
    lens sees; None: limited only by the model and the picture. MtpanoError if a value is invalid.
    """

    model: str
    size: tuple[int, int]
    focal: tuple[float, float]
    center: tuple[float, float]
    shape: tuple[float, ...] = ()
    distortion: tuple[float, ...] = ()
    field_of_view: float | None = None

    def __post_init__(self) -> None:
        _check(self)

    def project(self, rays: NDArray[Any]) -> tuple[Floats, Floats, Mask]:
        """Rays [..., 3] of any length -> columns, rows and whether the picture shows them."""
        x, y, z = np.moveaxis(np.asarray(rays, np.float64), -1, 0)
        across = np.hypot(x, y)
        angle = np.arctan2(across, z)
        seen = (angle <= self.largest_angle) & ((across > 0) | (z > 0))
        angle = np.where(seen, angle, 0.0)
        r = self._radius(angle)
        along_x = np.divide(x, across, out=np.zeros_like(x), where=across > 0)
        along_y = np.divide(y, across, out=np.zeros_like(y), where=across > 0)
        u, v = r * along_x, r * along_y
        if isinstance(self._distortion, RadTan):
            u, v = self._distortion.distort(u, v)
        columns = np.where(seen, self.focal[0] * u + self.center[0], np.nan)
        rows = np.where(seen, self.focal[1] * v + self.center[1], np.nan)
        return columns, rows, seen & self._inside(columns, rows)

    def unproject(self, columns: Any, rows: Any) -> tuple[Floats, Mask]:
        """Pixels [...] -> unit rays [..., 3] and whether the lens sees along them."""
        columns, rows = np.asarray(columns, np.float64), np.asarray(rows, np.float64)
        u = (columns - self.center[0]) / self.focal[0]
        v = (rows - self.center[1]) / self.focal[1]
        reached = np.ones(u.shape, np.bool_)
        if isinstance(self._distortion, RadTan):
            u, v, error = self._distortion.undistort(u, v, self._table)
            reached = error < 1e-9 * (1 + np.hypot(u, v))
        r = np.hypot(u, v)
        with np.errstate(invalid="ignore"):
            if isinstance(self._distortion, Growth):
                angle = self._distortion.invert(r, self._table)
                reached = np.abs(self._distortion(angle) - r) < 1e-9 * (1 + r)
            else:
                angle = PROJECTIONS[self.model].angle(r, self.shape)
        seen = reached & (angle <= self.largest_angle * (1 + 1e-12))
        angle = np.where(seen, angle, np.nan)
        sine = np.divide(np.sin(angle), r, out=np.ones_like(r), where=r > 0)
        rays = np.stack([u * sine, v * sine, np.cos(angle)], -1)
        return rays, seen & self._inside(columns, rows)

    def scaled_to(self, size: tuple[int, int]) -> Camera:
        """The same lens, for a picture that is resized to `size` (H, W).

        MtpanoError if the sides do not change by the same factor, since such a picture may have
        been cropped.
        """
        if size == self.size:
            return self
        if size[0] * self.size[1] != size[1] * self.size[0] or min(size) < 1:
            raise MtpanoError(
                f"the picture is {size[0]}x{size[1]} and the calibration is of "
                f"{self.size[0]}x{self.size[1]}, which is another shape: calibrate at the size "
                "that the driver delivers"
            )
        factor = size[0] / self.size[0]
        return replace(
            self,
            size=size,
            focal=(self.focal[0] * factor, self.focal[1] * factor),
            center=tuple((c + 0.5) * factor - 0.5 for c in self.center),  # type: ignore[arg-type]
        )

    @cached_property
    def largest_angle(self) -> float:
        """Radians from the axis up to which rays are projected: `cone` or `model_limit`."""
        limit = self.model_limit
        return limit if self.field_of_view is None else min(limit, self.cone)

    @property
    def cone(self) -> float:
        """Half of the given field of view, in radians; pi if none is given."""
        return math.pi if self.field_of_view is None else math.radians(self.field_of_view) / 2

    @cached_property
    def model_limit(self) -> float:
        """Radians from the axis where the model ends or its distortion folds back."""
        projection = PROJECTIONS[self.model]
        limit = projection.limit(self.shape)
        if isinstance(self._distortion, Growth):
            return self._distortion.limit
        radius = self._distortion.limit if self._distortion else math.inf
        if radius < _FARTHEST:
            limit = min(limit, float(projection.angle(np.array(radius), self.shape)))
        return limit * (1 - 1e-9)

    @cached_property
    def pixels_per_radian(self) -> float:
        """Resolution at the axis."""
        step = 1e-4
        focal = math.sqrt(self.focal[0] * self.focal[1])
        return focal * float(self._radius(np.array(step))) / step

    @cached_property
    def _distortion(self) -> Growth | RadTan | None:
        projection = PROJECTIONS[self.model]
        if projection.polynomial == "kannala_brandt":
            return kannala_brandt(self.distortion, math.pi)
        if projection.polynomial == "radtan" and any(self.distortion):
            return RadTan(self.distortion, _FARTHEST)
        return None

    @cached_property
    def _table(self) -> Floats:
        """Growing radii of the plane, or angles, up to the largest."""
        if isinstance(self._distortion, Growth):
            return np.linspace(0, self.largest_angle, _TABLE)
        angles = np.linspace(0, self.largest_angle, _TABLE)
        return PROJECTIONS[self.model].radius(np.sin(angles), np.cos(angles), self.shape)

    def _radius(self, angle: Floats) -> Floats:
        if isinstance(self._distortion, Growth):
            return self._distortion(angle)
        return PROJECTIONS[self.model].radius(np.sin(angle), np.cos(angle), self.shape)

    def _inside(self, columns: Floats, rows: Floats) -> Mask:
        height, width = self.size
        with np.errstate(invalid="ignore"):
            across = (columns >= -0.5) & (columns <= width - 0.5)
            return across & (rows >= -0.5) & (rows <= height - 0.5)


def _check(camera: Camera) -> None:
    if camera.model not in PROJECTIONS:
        raise MtpanoError(
            f"camera model '{camera.model}' is unknown: expected one of {', '.join(PROJECTIONS)}"
        )
    projection = PROJECTIONS[camera.model]
    numbers = (*camera.focal, *camera.center, *camera.shape, *camera.distortion)
    if not all(map(math.isfinite, numbers)):
        raise MtpanoError(f"the {camera.model} lens has {numbers}, expected finite numbers")
    if min(camera.focal) <= 0 or min(camera.size) < 1:
        raise MtpanoError(
            f"the {camera.model} lens has focal lengths {camera.focal} and a picture of "
            f"{camera.size[0]}x{camera.size[1]}, expected positive numbers"
        )
    if len(camera.shape) != len(projection.shape):
        raise MtpanoError(
            f"the {camera.model} lens has {len(camera.shape)} parameters of its own, expected "
            f"{len(projection.shape)}: {', '.join(projection.shape)}"
        )
    _check_shape(camera.model, dict(zip(projection.shape, camera.shape, strict=True)))
    allowed = {"radtan": (0, 4, 5, 8), "kannala_brandt": (0, 4), "": (0,)}[projection.polynomial]
    if len(camera.distortion) not in allowed:
        raise MtpanoError(
            f"the {camera.model} lens has {len(camera.distortion)} distortion coefficients, "
            f"expected {' or '.join(map(str, allowed))}"
        )
    if camera.field_of_view is not None and not 0 < camera.field_of_view <= 360:
        raise MtpanoError(
            f"the field of view is {camera.field_of_view} degrees, expected more than 0 and at "
            "most 360"
        )
    _check_limits(camera)


def _check_limits(camera: Camera) -> None:
    try:
        with np.errstate(all="ignore"):
            is_lens = _RESOLUTIONS[0] < camera.pixels_per_radian < _RESOLUTIONS[1]
            is_lens = is_lens and camera.model_limit > 0
    except (ArithmeticError, np.linalg.LinAlgError):
        is_lens = False
    if not is_lens:
        raise MtpanoError(
            f"the {camera.model} lens with focal lengths {camera.focal}, parameters "
            f"{camera.shape} and distortion {camera.distortion} has no resolution that a lens can "
            "have: correct the calibration"
        )


def _check_shape(model: str, shape: dict[str, float]) -> None:
    if "alpha" in shape and not 0 <= shape["alpha"] <= 1:
        raise MtpanoError(f"alpha of the {model} lens is {shape['alpha']}, expected 0 to 1")
    if shape.get("beta", 1.0) <= 0:
        raise MtpanoError(f"beta of the {model} lens is {shape['beta']}, expected more than 0")
    if model == "omni" and shape["xi"] < 0:
        raise MtpanoError(f"xi of the omni lens is {shape['xi']}, expected 0 or more")
    if model == "ds" and not -1 < shape["xi"] < 1:
        raise MtpanoError(f"xi of the ds lens is {shape['xi']}, expected more than -1, less than 1")
