"""Class logits -> the best class of each pixel of a larger picture.

The logits are interpolated and the best one is taken then, so that borders run smoothly between the
network's pixels. Where all four pixels around a place have the same best class, it is the place's
as well, whatever the weights; so only places at borders are computed, and there only the classes
compete that are best at one of the four. (Another can be the greatest between them: at 2 to 3 of
10,000 pixels of the default model. To look for it would cost as much as all the rest.)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtpano_model.inference.taps import Taps, find_taps

Floats = NDArray[np.float32]
# Pixels a pass: the working set then stays in the second-level cache.
_BLOCK = 32768
_LOWEST = np.float32(-1e30)
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


def argmax_labels(logits: Floats, unlabelled: int = 255) -> tuple[NDArray[Any], int]:
    """Logits [C, h, w] -> (ids [h, w], how many pixels' logits were not finite).

    The first of equal logits wins, as in np.argmax; a pixel whose best logit is not finite becomes
    `unlabelled`. Running maximum by blocks of pixels: np.argmax over the first axis strides
    through memory and takes ten times as long.
    """
    classes, height, width = logits.shape
    flat = logits.reshape(classes, -1)
    kind = np.min_scalar_type(unlabelled).type
    labels = np.zeros(height * width, kind)
    best = np.empty(_BLOCK, np.float32)
    better = np.empty(_BLOCK, bool)
    candidate = np.empty(_BLOCK, kind)
    bad = 0
    for begin in range(0, len(labels), _BLOCK):
        part = labels[begin : begin + _BLOCK]
        top, wins, ids = best[: len(part)], better[: len(part)], candidate[: len(part)]
        np.copyto(top, flat[0, begin : begin + _BLOCK])
        for index in range(1, classes):
            logit = flat[index, begin : begin + _BLOCK]
            np.greater(logit, top, out=wins)
            np.maximum(logit, top, out=top)  # NaN stays NaN, so one look at the end finds it
            np.multiply(wins, kind(index), out=ids)
            np.maximum(part, ids, out=part)
        np.isfinite(top, out=wins)
        if not wins.all():
            bad += int(np.count_nonzero(~wins))
            part[~wins] = unlabelled
    return labels.reshape(height, width), bad


def border_labels(
    logits: Floats, low: NDArray[Any], taps: Taps, unlabelled: int, labels: NDArray[Any]
) -> None:
    """Decide the places of `labels` [H, W] that lie between pixels of different classes, in place.

    logits [C, h, w], low [h, w]: their arg-max. labels: the nearest pixel's on the way in, which
    stays where one of the four has no class.
    """
    cells = find_cells(low.shape, labels.shape)
    beside = np.roll(low, -1, axis=1) if low.shape[1] != labels.shape[1] else low
    changes = low != beside
    above, below = cells.rows
    i, j = np.nonzero(changes[above] | changes[below] | (low[above] != low[below]))
    ids = np.stack([each[rows[i], j] for rows in cells.rows for each in (low, beside)])
    known = (ids != unlabelled).all(axis=0) & (cells.width[j] > 0)
    first, second = ids[0], np.where(ids[1] != ids[0], ids[1], ids[2])
    second = np.where(second != first, second, ids[3])
    several = ((ids != first) & (ids != second)).any(axis=0)
    # Nearly all cells have two classes: half as many sums.
    for chosen, competing in ((known & ~several, (first, second)), (known & several, ids)):
        if chosen.any():
            where = i[chosen], j[chosen]
            _decide(logits, [each[chosen] for each in competing], where, cells, taps, labels)


class Cells(NamedTuple):
    """What lies between four pixels, by the rows and columns of the larger picture.

    rows [2, m]: above and below. top, height [m]: from which row on, how many. left, width [w]: of
    what lies to the right of a pixel; the last ones go on at column 0.
    """

    rows: NDArray[np.int64]
    top: NDArray[np.int64]
    height: NDArray[np.int64]
    left: NDArray[np.int64]
    width: NDArray[np.int64]


@lru_cache(maxsize=8)
def find_cells(small: tuple[int, int], size: tuple[int, int]) -> Cells:
    """Of a picture of `small` (h, w) that becomes one of `size` (H, W)."""
    taps = find_taps(small, size)
    top = np.flatnonzero(np.any(np.diff(taps.rows, axis=1, prepend=-1) != 0, axis=0))
    columns = taps.columns[0].astype(np.int64)
    other = columns != columns[-1]
    begin = int(other.argmax()) if other.any() else 0
    columns = np.roll(columns, -begin)
    left, end = (np.searchsorted(columns, np.arange(small[1]), side) for side in _SIDES)
    return Cells(taps.rows[:, top], top, np.diff(top, append=size[0]), begin + left, end - left)


def _decide(
    logits: Floats,
    ids: Sequence[NDArray[Any]],
    where: tuple[NDArray[np.int64], NDArray[np.int64]],
    cells: Cells,
    taps: Taps,
    labels: NDArray[Any],
) -> None:
    """The greatest of k classes, ids [n] each, at every place of n cells, into `labels`.

    where: which cells. One that is smaller than others decides its last row and column more than
    once.
    """
    i, j = where
    height, width = cells.height[i], cells.width[j]
    beside = (j + 1) % logits.shape[2] if logits.shape[2] != labels.shape[1] else j
    across = np.minimum(np.arange(width.max())[:, None], width - 1)
    columns = (cells.left[j] + across) % labels.shape[1]
    near, far = taps.column_weights[:, columns]
    above, below = cells.rows[:, i]
    # Minus infinity times a weight of zero would be no number.
    corners = [
        [
            np.maximum(logits[each, row, column], _LOWEST)
            for row in (above, below)
            for column in (j, beside)
        ]
        for each in ids
    ]
    for down in range(height.max()):
        rows = cells.top[i] + np.minimum(down, height - 1)
        upper, lower = taps.row_weights[:, rows]
        scores = [
            (over * upper + under * lower) * near
            + (over_beside * upper + under_beside * lower) * far
            for over, over_beside, under, under_beside in corners
        ]
        greatest, winner = scores[0], ids[0]
        for score, label in zip(scores[1:], ids[1:], strict=True):
            winner = np.where(score > greatest, label, winner)
            greatest = np.maximum(score, greatest)
        np.put(labels, rows * labels.shape[1] + columns, winner)
