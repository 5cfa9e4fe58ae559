"""Arrays as colours: what RViz, panels and reports show of depth, normals and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]

DEPTH_MAX = 10.0  # metres at the far end of the colours, unless the caller knows better
UNKNOWN_COLOR = (38, 38, 42)  # NaN: nothing is known here
OPEN_COLOR = (236, 240, 245)  # +Inf: sky, or beyond the range
TOO_NEAR_COLOR = (90, 0, 60)  # -Inf: nearer than the range


def depth_colors() -> Rgb:
    """The depth scale, near to far, [256, 3] RGB: turbo, with red near as on a radar."""
    ramp = np.arange(255, -1, -1, dtype=np.uint8).reshape(256, 1)
    bgr = np.asarray(cv2.applyColorMap(ramp, cv2.COLORMAP_TURBO), np.uint8)
    return bgr.reshape(256, 3)[:, ::-1].copy()


_DEPTH_COLORS = depth_colors()


def colorize_depth(
    depth: NDArray[np.floating[Any]], max_depth: float = DEPTH_MAX, out: Rgb | None = None
) -> Rgb:
    """Depth [H, W] in metres -> uint8 RGB [H, W, 3], into `out` if given.

    The scale is linear from 0 to `max_depth` metres; greater depths have the last colour. NaN is
    UNKNOWN_COLOR, +Inf OPEN_COLOR, -Inf TOO_NEAR_COLOR.
    """
    # One fused pass; what it makes of special values does not matter, they are painted over.
    index = np.asarray(cv2.convertScaleAbs(depth, alpha=255 / max_depth), np.uint8)
    colors = _look_up(index, _DEPTH_COLORS, out)
    if not np.isfinite(depth).all():
        colors[np.isnan(depth)] = UNKNOWN_COLOR
        colors[np.isposinf(depth)] = OPEN_COLOR
        colors[np.isneginf(depth)] = TOO_NEAR_COLOR
    return colors


def colorize_labels(
    labels: NDArray[np.integer[Any]],
    palette: Sequence[Sequence[int]] | NDArray[np.uint8],
    out: Rgb | None = None,
) -> Rgb:
    """Class ids [H, W] -> uint8 RGB [H, W, 3] by `palette` [N, 3], into `out` if given.

    Ids without a colour become UNKNOWN_COLOR.
    """
    colors = np.asarray(palette, np.uint8)
    table = np.tile(np.array(UNKNOWN_COLOR, np.uint8), (max(256, len(colors) + 1), 1))
    table[: len(colors)] = colors
    if labels.dtype == np.uint8:
        return _look_up(np.asarray(labels, np.uint8), table[:256], out)
    return np.take(table, np.minimum(labels, len(colors)), axis=0, out=out)


def _look_up(index: NDArray[np.uint8], colors: Rgb, out: Rgb | None) -> Rgb:
    """colors[index] into `out`; the library's table look-up is many times faster than numpy's."""
    if out is None:
        out = np.empty((*index.shape, 3), np.uint8)
    cv2.applyColorMap(index, np.ascontiguousarray(colors).reshape(256, 1, 3), dst=out)
    return out
