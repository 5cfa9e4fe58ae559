"""A laser scan from a panorama's depth: for each azimuth the nearest surface in a band of heights.

    angle i = angle_min + i * increment, angle_min = -pi + increment / 2, increment = 2 pi / N

Angles go counter-clockwise from behind, in a frame whose z is up and whose origin is the camera.
N is constant, and the first angle is not repeated at the end. A range is horizontal, and is one of
these (REP-117):

    metres   the nearest surface whose height lies in the band
    +Inf     no surface up to max_range: the rays that would meet one there see farther
    NaN      unknown: these rays are masked, unknown, or blocked by something above the band
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import OPTICAL_FROM, latitudes
from mtpano_model.inference.compiled import compiled_loops
from mtpano_model.pictures.size import Size
from mtpano_model.robot.sampling import Floats, Nearest, Places, ray_factors, turned_rays

_LOOP = "mtpano_model.robot.scan_kernel"
# From the optical frame to a level camera's body frame.
_LEVEL = OPTICAL_FROM["body"].T
_NO_FLOOR = np.zeros((0, 0), bool)

# Radians: a scan's frame that turns by less keeps the tables that are there, 4 mm at 5 m.
_SAME_TURN = np.radians(0.05)


@dataclass(frozen=True)
class ScanRules:
    """What belongs to a scan. MtpanoError for an empty band or empty ranges.

    min_height, max_height: limits of the band in metres over the floor, or over the camera if the
    camera's height is unknown. min_range, max_range: horizontal distances in metres.
    """

    min_height: float = 0.1
    max_height: float = 1.8
    min_range: float = 0.2
    max_range: float = 10.0

    def __post_init__(self) -> None:
        if not self.min_height < self.max_height:
            raise MtpanoError(
                f"a scan between heights {self.min_height:g} and {self.max_height:g} m is empty: "
                "expected scan.min_height below scan.max_height"
            )
        if not 0 < self.min_range < self.max_range < float("inf"):
            raise MtpanoError(
                f"scan ranges from {self.min_range:g} to {self.max_range:g} m make no sense: "
                "expected 0 < scan.min_range < scan.max_range"
            )


@dataclass(frozen=True, eq=False)
class Scan:
    """ranges: [N] float32, metres. Angles: radians, counter-clockwise about z, 0 ahead.

    min_range, max_range: metres, those of the rules.
    """

    ranges: Floats
    angle_min: float
    angle_increment: float
    min_range: float
    max_range: float

    @property
    def angle_max(self) -> float:
        """Of the last range: angle_min + (N - 1) * increment."""
        return self.angle_min + (len(self.ranges) - 1) * self.angle_increment


class Scanner:
    """Makes scans with N ranges; keeps its tables, so it allows one call at a time.

    count: N, by default the panorama's width; MtpanoError below 8. compiled: use numba's loop;
    None: if numba is installed. The loop is compiled once on a machine, which takes some seconds.
    """

    def __init__(
        self, rules: ScanRules, count: int | None = None, compiled: bool | None = False
    ) -> None:
        if count is not None and count < 8:
            raise MtpanoError(f"a scan of {count} ranges is too coarse: expected 8 or more")
        self._rules, self._count = rules, count
        self._loop = None if compiled is False else compiled_loops(_LOOP, required=bool(compiled))
        self._grid = _Grid()

    def __call__(
        self,
        depth: Floats,
        rotation: NDArray[Any] | None = None,
        camera_height: float | None = None,
        floor: NDArray[np.bool_] | None = None,
    ) -> Scan:
        """Depth [H, W], float32 metres along the ray in the camera's optical frame -> Scan.

        rotation: [3, 3], v_scan = R @ v_optical, where the scan's frame has x ahead, y left, z up;
        None for a level camera. camera_height: metres over the floor; None if unknown, and then the
        rules' heights are over the camera. floor: [H, W], True where a pixel is known to be floor
        and therefore no obstacle.
        """
        turn = _LEVEL if rotation is None else np.asarray(rotation, np.float64)
        count = self._count or depth.shape[1]
        band = _band(depth.shape[0], camera_height or 0.0, self._rules)
        if self._loop is None:
            ranges = self._grid.ranges(depth, turn, floor, band, count)
        else:
            ranges = np.empty(count, np.float32)
            latitudes, longitudes = ray_factors((depth.shape[0], count))
            self._loop.scan(
                (turn.T @ _LEVEL).astype(np.float32), not _own(turn, depth.shape, count),
                band.rows.start, latitudes[:, band.rows].copy(), longitudes, band.depths,
                depth, _NO_FLOOR if floor is None else floor, ranges,
            )  # fmt: skip
        increment = 2 * np.pi / count
        return Scan(
            ranges,
            -np.pi + increment / 2,
            increment,
            self._rules.min_range,
            self._rules.max_range,
        )


class _Band(NamedTuple):
    """rows: of a level panorama, whose rays can meet the band. depths: [3, n] along such a row's
    rays, at which they enter and leave the band, and beyond which they see that it is free as far
    as `max_range`; NaN for rows that do not tell."""

    rows: slice
    depths: Floats


class _Grid:
    """The scan's rays as a panorama of their own, sampled with numpy."""

    def __init__(self) -> None:
        self._turn = np.zeros((3, 3))
        self._key: Any = None
        self._sample: Nearest | None = None

    def ranges(
        self,
        depth: Floats,
        turn: NDArray[np.float64],
        floor: NDArray[np.bool_] | None,
        band: _Band,
        count: int,
    ) -> Floats:
        rows, key = band.rows, (depth.shape, band.rows.start, band.rows.stop, count)
        if key != self._key or np.abs(turn - self._turn).max() > _SAME_TURN:
            self._key, self._turn = key, turn
            self._sample = _sample(turn, depth.shape, rows, count)
        near, far, end = band.depths[..., None]
        seen = depth[rows] if self._sample is None else self._sample(depth)
        with np.errstate(invalid="ignore"):
            hit = (seen >= near) & (seen <= far)
            told = ~np.isnan(end[:, 0])
            free = (seen[told] > end[told]).all(0)
        if floor is not None:
            flat = floor.view(np.uint8)
            under = flat[rows] if self._sample is None else self._sample(flat)
            hit &= under == 0
        reach = seen * ray_factors(depth.shape)[0][1, rows, None]
        ranges = np.where(hit, reach, np.float32(np.inf)).min(0)
        ranges[np.isinf(ranges) & ~free] = np.nan
        # Columns go to the right, angles to the left.
        return ranges[::-1].copy()


def _own(turn: NDArray[np.float64], size: Size, count: int) -> bool:
    """Whether the scan's rays are the panorama's own."""
    return count == size[1] and bool(np.abs(turn - _LEVEL).max() < _SAME_TURN)


def _sample(turn: NDArray[np.float64], size: Size, rows: slice, count: int) -> Nearest | None:
    """Where the scan's grid lies on the panorama; None where it is the panorama's own."""
    if _own(turn, size, count):
        return None
    return Places(*turned_rays(turn.T @ _LEVEL, (size[0], count), rows), size).nearest()


def _band(height: int, camera: float, rules: ScanRules) -> _Band:
    """For panoramas of `height` rows whose camera is `camera` metres over the floor."""
    rows = _rows_in_reach(height, camera, rules)
    latitude = latitudes(height)[rows]
    near, far = _depths_in_band(latitude, camera, rules)
    # Rays that are still in the band where it ends: they see whether it is free.
    at_end = np.tan(latitude) * rules.max_range + camera
    inside = (at_end >= rules.min_height) & (at_end <= rules.max_height)
    if not inside.any():  # a band lower than a row at that distance
        middle = (rules.min_height + rules.max_height) / 2
        inside[np.abs(at_end - middle).argmin()] = True
    end = np.where(inside, rules.max_range / np.cos(latitude), np.nan)
    return _Band(rows, np.stack([near, far, end]).astype(np.float32))


def _rows_in_reach(height: int, camera: float, rules: ScanRules) -> slice:
    """Rows whose rays can meet the band beyond min_range, and some more.

    By sixteens, so that a floor that is measured a little differently changes no table.
    """
    latitude = latitudes(height)
    up = np.arctan2(rules.max_height - camera, rules.min_range)
    down = np.arctan2(rules.min_height - camera, rules.min_range)
    up = max(up, np.arctan2(rules.max_height - camera, rules.max_range))
    down = min(down, np.arctan2(rules.min_height - camera, rules.max_range))
    inside = np.flatnonzero((latitude <= up) & (latitude >= down))
    if not len(inside):
        inside = np.abs(latitude - (up + down) / 2).argmin(keepdims=True)
    return slice(int(inside[0]) // 16 * 16, min(-(-(int(inside[-1]) + 1) // 16) * 16, height))


def _depths_in_band(
    latitude: NDArray[Any], height: float, rules: ScanRules
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Depth along the ray at which a row enters and leaves the band, within the scan's ranges."""
    sine, cosine = np.sin(latitude), np.cos(latitude)
    sine = np.where(np.abs(sine) < 1e-9, 1e-9, sine)
    to_low, to_high = (rules.min_height - height) / sine, (rules.max_height - height) / sine
    near = np.maximum(np.minimum(to_low, to_high), rules.min_range / cosine)
    far = np.minimum(np.maximum(to_low, to_high), rules.max_range / cosine)
    return near, np.where(far < near, -1.0, far)
