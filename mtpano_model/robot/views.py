"""Pinhole views of a panorama, for programs that read no equirectangular pictures.

A view is a camera at the place of the panorama's camera, turned right by yaw and up by pitch. Its
optical frame has x right, y down, z forward. Pixels are square, and the principal point is the
middle:

    f = width / (2 tan(fov / 2))    cx = (width - 1) / 2    cy = (height - 1) / 2

where (0, 0) is the centre of the first pixel, as in ROS and OpenCV. Depth is along the view's z
axis, in metres. Depth, normals and classes are those of the nearest pixel of the panorama, so that
foreground and background are never mixed. Colours are too, unless they are interpolated (`smooth`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import degrees, isfinite, radians, tan
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import pitch_matrix, yaw_matrix
from mtpano_model.inference.compiled import compiled_loops
from mtpano_model.pictures.size import Size
from mtpano_model.robot.sampling import Floats, Linear, Nearest, Places, with_room

_LOOPS = "mtpano_model.robot.views_kernel"
Numbers = NDArray[np.uint32]
PRESETS = ("four", "cube")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")  # a topic has 247 at most
_FOV_DEGREES = (1.0, 170.0)
_LARGEST_SIDE = 4096


@dataclass(frozen=True)
class View:
    """One pinhole camera; MtpanoError for a value that no view can have.

    name: part of its topics and frame. yaw: degrees to the right of the panorama's centre. pitch:
    degrees up. fov: horizontal field of view in degrees. size: (height, width) in pixels.
    """

    name: str
    yaw: float
    pitch: float = 0.0
    fov: float = 90.0
    size: Size = (480, 480)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise MtpanoError(
                f"view '{self.name[:80]}' cannot be part of a topic's name: expected a letter, "
                "then letters, digits and underscores, 64 at most"
            )
        if not all(map(isfinite, (self.yaw, self.pitch))) or abs(self.pitch) > 90:
            raise MtpanoError(
                f"view {self.name} looks nowhere with yaw {self.yaw:g} and pitch {self.pitch:g}: "
                "expected degrees, pitch from -90 (down) to 90 (up)"
            )
        low, high = _FOV_DEGREES
        if not low <= self.fov <= high:
            raise MtpanoError(
                f"view {self.name} has a field of view of {self.fov:g} degrees: expected {low:g} "
                f"to {high:g}, since a flat picture cannot hold half the world"
            )
        if not all(2 <= side <= _LARGEST_SIDE for side in self.size):
            height, width = self.size
            raise MtpanoError(
                f"view {self.name} of {height}x{width} (height x width) pixels cannot be: expected "
                f"2 to {_LARGEST_SIDE} each"
            )

    @property
    def rotation(self) -> NDArray[np.float64]:
        """[3, 3]: d_panorama = R @ d_view, both optical frames."""
        return yaw_matrix(radians(self.yaw)) @ pitch_matrix(radians(self.pitch))

    @property
    def camera_matrix(self) -> NDArray[np.float64]:
        """K [3, 3] of sensor_msgs/CameraInfo."""
        height, width = self.size
        focal = width / (2 * tan(radians(self.fov) / 2))
        return np.array(
            [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]], np.float64
        )


def four_views(fov: float = 92.0, size: Size = (480, 480)) -> tuple[View, ...]:
    """Ahead, right, behind, left; wider than 90 degrees, so that neighbours overlap.

    fov: degrees, MtpanoError unless from 90 to 96. size: (height, width) of each.
    """
    if not 90 <= fov <= 96:
        raise MtpanoError(
            f"four views of {fov:g} degrees leave gaps or waste pixels: expected 90 to 96"
        )
    names = ("front", "right", "back", "left")
    return tuple(View(name, 90.0 * k, 0.0, fov, size) for k, name in enumerate(names))


def cube_views(size: Size = (480, 480)) -> tuple[View, ...]:
    """The six faces of a cube: four around, up and down, all of 90 degrees and `size` (h, w)."""
    return (*four_views(90.0, size), View("up", 0, 90, 90, size), View("down", 0, -90, 90, size))


def check_views(views: Iterable[View]) -> tuple[str, ...]:
    """Warnings, a sentence each, about pairs of views that show nearly the same.

    MtpanoError if two views have the same name.
    """
    seen: list[View] = []
    warnings = []
    for view in views:
        for other in seen:
            if other.name == view.name:
                raise MtpanoError(f"two views are named '{view.name}': give each its own name")
            between = _angle_between(view, other)
            if between < min(view.fov, other.fov) / 2:
                warnings.append(
                    f"views {other.name} and {view.name} look {between:.0f} degrees apart and "
                    "overlap by more than half: what both see is sent twice"
                )
        seen.append(view)
    return tuple(warnings)


def _angle_between(one: View, other: View) -> float:
    cosine = one.rotation[:, 2] @ other.rotation[:, 2]
    return degrees(np.arccos(np.clip(cosine, -1, 1)))


class ViewSampler:
    """Makes one view's pictures from panoramas; keeps its tables, one for each size.

    smooth: interpolate colours. Without it each colour is that of the nearest pixel, which is much
    faster, and as good if the panorama is at least as fine as the view. compiled: use numba's
    loops; None: if numba is installed.
    """

    def __init__(self, view: View, smooth: bool = True, compiled: bool | None = False) -> None:
        self.view, self._smooth = view, smooth
        self._loops = None if compiled is False else compiled_loops(_LOOPS, required=bool(compiled))
        self._places: dict[Size, _Tables] = {}
        self._to_view = view.rotation.T.astype(np.float32)

    def source(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The form in which `image` reads uint8 [H, W, 3] fastest; make it once for all views."""
        return picture if self._smooth or self._loops else with_room(picture)

    def image(self, picture: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """uint8 [H, W, 3] of any 2:1 size, or its `source` -> [h, w, 3], into `out` if given."""
        tables = self._at(picture.shape)
        if self._smooth:
            return tables.linear(picture, out)
        if self._loops is None:
            return tables.nearest(picture, out)
        out = np.empty((*self.view.size, 3), np.uint8) if out is None else out
        self._loops.take_colors(picture.reshape(-1), *tables.pixels, out.reshape(-1))
        return out

    def depth(self, depth: Floats, out: Floats | None = None) -> Floats:
        """Metres along the ray [H, W] -> metres along the view's axis [h, w]; NaN and Inf stay."""
        cosines = _cosines(self.view.size, self.view.fov)
        if self._loops is None:
            found = self.labels(depth, out)
            return np.multiply(found, cosines, out=found)
        out = np.empty(self.view.size, np.float32) if out is None else out
        bytes_of, bytes_out = (a.reshape(-1).view(np.uint8) for a in (depth, out))
        tables = self._at(depth.shape)
        self._loops.take_depth(bytes_of, *tables.pixels, cosines, bytes_out, out)
        return out

    def labels(self, labels: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Any map [H, W] or [H, W, C] -> the nearest pixels, [h, w] or [h, w, C]."""
        return self._at(labels.shape).nearest(labels, out)

    def normals(self, normals: Floats, out: Floats | None = None) -> Floats:
        """Unit vectors [H, W, 3] -> the nearest ones [h, w, 3], in the view's optical frame."""
        turned: Any = cv2.transform(self.labels(normals), self._to_view, dst=out)
        return turned

    def _at(self, shape: tuple[int, ...]) -> _Tables:
        size = shape[0], shape[1]
        if size not in self._places:
            self._places[size] = _Tables(self.view, size)
        return self._places[size]


class _Tables:
    """Where a view looks in panoramas of `size`. Each table is made when it is first asked for."""

    def __init__(self, view: View, size: Size) -> None:
        self._view, self._size = view, size
        x, y = _plane(view.size, view.fov)
        turn = view.rotation.astype(np.float32)
        right, down, forward = (part[0] * x + (part[1] * y + part[2]) for part in turn)
        self._places = Places(right, down, forward, size)

    @cached_property
    def linear(self) -> Linear:
        return self._places.linear()

    @cached_property
    def nearest(self) -> Nearest:
        return self._places.nearest()

    @cached_property
    def pixels(self) -> tuple[Numbers, Numbers]:
        """[h, w] and [w], whose sum is the number of each nearest pixel.

        A view that is pitched neither up nor down looks along one column of the panorama in each of
        its own, and views that differ by yaw alone have the rows in common. They share the memory:
        a table that all read stays in the cache.
        """
        column, row = np.moveaxis(self.nearest.pixels.astype(np.uint32), -1, 0)
        rows = row * np.uint32(self._size[1])
        if (column != column[0]).any():
            return rows + column, np.zeros_like(column[0])
        straight = _straight_rows(self._view.size, self._view.fov, self._size)
        return straight if np.array_equal(straight, rows) else rows, column[0].copy()


@lru_cache(maxsize=16)
def _straight_rows(size: Size, fov: float, panorama: Size) -> Numbers:
    """The number of the first pixel of each row that a view straight ahead looks at, [h, w]."""
    rows = _Tables(View("ahead", 0.0, 0.0, fov, size), panorama).nearest.pixels[..., 1]
    return rows.astype(np.uint32) * np.uint32(panorama[1])


def _plane(size: Size, fov: float) -> tuple[Floats, Floats]:
    """x [w] and y [h, 1] of a view's rays where z is 1."""
    height, width = size
    focal = width / (2 * tan(radians(fov) / 2))
    x = ((np.arange(width) - (width - 1) / 2) / focal).astype(np.float32)
    return x, ((np.arange(height) - (height - 1) / 2) / focal).astype(np.float32)[:, None]


@lru_cache(maxsize=16)
def _cosines(size: Size, fov: float) -> Floats:
    """Between each ray and the view's axis, [h, w]; views of one shape share the memory."""
    x, y = _plane(size, fov)
    return (1 / np.sqrt(1 + x * x + y * y)).astype(np.float32, copy=False)
