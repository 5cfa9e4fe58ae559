"""Class logits -> the best class of each pixel of a larger picture.

The logits are interpolated and the best one is taken then, so that borders run smoothly between the
network's pixels. Where all four pixels around a place have the same best class, it is the place's
as well, whatever the weights; so only places at borders are computed, and there only the classes
compete that are best at one of the four. (Another can be the greatest between them: at 2 to 3 of
10,000 pixels of the default model. To look for it would cost as much as all the rest.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.inference.taps import Taps

Floats = NDArray[np.float32]
# Pixels a pass: the working set then stays in the second-level cache.
_BLOCK = 32768
_LOWEST = np.float32(-1e30)


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
    width = low.shape[1]
    # A cell is what lies between four pixels; of each its first row and column in `labels`.
    row_starts = np.flatnonzero(np.any(np.diff(taps.rows, axis=1, prepend=-1) != 0, axis=0))
    column_starts = np.flatnonzero(np.diff(taps.columns[0].astype(np.int64), prepend=-1) != 0)
    above, below = taps.rows[:, row_starts]
    left, right = taps.columns[:, column_starts].astype(np.int64)
    corner_labels = [
        low[rows].take(columns, 1) for rows in (above, below) for columns in (left, right)
    ]
    first = corner_labels[0]
    mixed = first != corner_labels[1]
    for other in corner_labels[2:]:
        mixed |= first != other
    for each in corner_labels:
        mixed &= each != unlabelled
    i, j = np.nonzero(mixed)

    ids = np.stack([each[i, j] for each in corner_labels])  # [4, n]: the classes that compete
    flat = logits.reshape(len(logits), -1)
    corners = (row[i] * width + column[j] for row in (above, below) for column in (left, right))
    # Of the four classes at each corner; minus infinity times a weight of zero would be no number.
    scores = [np.maximum(flat[ids, corner], _LOWEST) for corner in corners]

    # Every place of every cell.
    heights = np.diff(row_starts, append=labels.shape[0])[i]
    widths = np.diff(column_starts, append=labels.shape[1])[j]
    counts = heights * widths
    cell = np.repeat(np.arange(len(i)), counts)
    place = np.arange(len(cell)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows, columns = np.divmod(place, widths[cell])
    rows += row_starts[i][cell]
    columns += column_starts[j][cell]
    weights = (
        row[rows] * column[columns] for row in taps.row_weights for column in taps.column_weights
    )
    greatest = sum(
        np.take(score, cell, axis=1) * weight for weight, score in zip(weights, scores, strict=True)
    )
    labels[rows, columns] = ids[np.argmax(greatest, axis=0), cell]
