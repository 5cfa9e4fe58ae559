"""The width in pixels of predicted depth steps, at sharp steps of the ground truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry.sphere import latitudes

COLUMNS = 1024  # what widths are scaled to
_REACH = 16  # columns of 1024 on either side of a step that are looked at
_STEP = 1.3  # the background is so many times as far as the foreground
_PLATEAU = 1.1  # and each of them is as flat as this
_SEEN = 1.15  # the predicted step, or it is missed
_LOW, _HIGH = 0.1, 0.9
_STEEPEST = np.pi / 4  # rows farther from the horizon are stretched too much

Windows = tuple[NDArray[np.intp], NDArray[np.intp]]


def clean_steps(depth: NDArray[np.floating], valid: NDArray[np.bool_]) -> Windows:
    """Rows [N, 1] and columns [N, K] of the windows around steps, from fore- to background.

    depth: [H, W] true metres. A step is clean where, along its row, depth changes by a factor of
    1.3 or more between two neighbours, and by less than 1.1 over the 16 (of 1,024) columns on
    either side of it. Rows within 45 degrees of the horizon; columns wrap.
    """
    height, width = depth.shape
    reach = max(round(_REACH * width / COLUMNS), 2)
    usable = valid & (np.abs(latitudes(height)) < _STEEPEST)[:, None]
    logs = np.log(np.where(usable, depth, 1))
    jumps = np.roll(logs, -1, 1) - logs
    is_step = usable & np.roll(usable, -1, 1) & (np.abs(jumps) > np.log(_STEP))
    rows, first = np.nonzero(is_step)
    columns = (first[:, None] + np.arange(1 - reach, reach + 1)) % width
    nearer_right = jumps[rows, first] < 0
    columns[nearer_right] = columns[nearer_right, ::-1]
    rows = rows[:, None]
    halves = logs[rows, columns].reshape(-1, 2, reach)
    clean = usable[rows, columns].all(1)
    clean &= (np.ptp(halves, axis=2) < np.log(_PLATEAU)).all(1)
    return rows[clean], columns[clean]


def step_widths(depth: NDArray[np.floating], windows: Windows) -> NDArray[np.float64]:
    """Width of each step in columns of 1,024, [N]; NaN where the step is missed.

    depth: [H, W], of a prediction. The foreground F and the background B are the medians of the
    outer quarters of a window, and a step is missed where B < 1.15 F. The width is the distance
    from where (d - F) / (B - F) is last 0.1 to where it is first 0.9, linear between columns. So
    the scale of the prediction has no say in it, and one between two neighbours is 0.8 columns.
    """
    profiles = depth[windows].astype(np.float64)
    count, length = profiles.shape
    if not count:
        return np.empty(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        fore = np.median(profiles[:, : length // 4], axis=1)
        back = np.median(profiles[:, length - length // 4 :], axis=1)
        part = (profiles - fore[:, None]) / (back - fore)[:, None]
        index = np.arange(length)
        high = part >= _HIGH
        ends = high.argmax(1)
        low = (part <= _LOW) & (index < ends[:, None])
        begins = length - 1 - low[:, ::-1].argmax(1)
        each = np.arange(count)
        seen = np.isfinite(profiles).all(1) & (back > _SEEN * fore)
        seen &= high.any(1) & low.any(1)
        end = ends - _over(part[each, ends - 1], part[each, ends], _HIGH)
        following = np.minimum(begins + 1, length - 1)
        begin = following - _over(part[each, begins], part[each, following], _LOW)
    return np.where(seen, (end - begin) * COLUMNS / depth.shape[1], np.nan)


def _over(before: NDArray, after: NDArray, level: float) -> NDArray:
    """How far back from `after` the level was passed, in columns, 0 to 1."""
    return (after - level) / (after - before)
