"""Class logits -> the best class of each pixel of a larger picture.

Logits are interpolated before the best is taken, so that borders run smoothly between the network's
pixels. If the four pixels around a place have the same best class, this is also the class of the
place, whatever the weights. So only places at borders are computed, from the classes that are best
at one of the four pixels. (At 2 to 3 of 10,000 pixels of the default model another class is the
greatest in between. To find it would cost as much as all the rest.)
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtpano_model.inference.taps import find_taps

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]
# Pixels a pass: the working set then stays in the second-level cache.
_BLOCK = 32768
# Places a pass, where borders are decided: the same.
_PLACES = 65536
_LOWEST = np.float32(-1e30)
_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")


def argmax_labels(logits: Floats, unlabelled: int = 255) -> tuple[NDArray[Any], int]:
    """Logits [C, h, w] -> (ids [h, w], the number of pixels whose best logit is not finite).

    The first of equal logits wins, as in np.argmax. A pixel whose best logit is not finite becomes
    `unlabelled`. This is a running maximum over blocks of pixels, because np.argmax over the first
    axis strides through memory and takes ten times as long.
    """
    classes, height, width = logits.shape
    flat = logits.reshape(classes, -1)
    kind = np.min_scalar_type(unlabelled).type
    labels = np.zeros(height * width, kind)
    best = np.empty(_BLOCK, np.float32)
    better = np.empty(_BLOCK, bool)
    ones = better.view(np.uint8)  # else numpy would widen each time
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
            np.multiply(ones[: len(part)], kind(index), out=ids)
            np.maximum(part, ids, out=part)
        np.isfinite(top, out=wins)
        if not wins.all():
            bad += int(np.count_nonzero(~wins))
            part[~wins] = unlabelled
    return labels.reshape(height, width), bad


def border_labels(logits: Floats, low: NDArray[Any], unlabelled: int, labels: NDArray[Any]) -> None:
    """Set `labels` [H, W] at places between pixels of different classes, in place.

    logits: [C, h, w]. low: their arg-max [h, w]. labels: those of the nearest pixels before the
    call; they stay where one of the four pixels is unlabelled.
    """
    cells = find_cells(low.shape, labels.shape)
    extremes = _extremes(low, cells)
    meeting = np.flatnonzero(extremes[0] != extremes[1])
    step = max(_PLACES // (len(cells.rows) * len(cells.columns)), 1)
    for begin in range(0, len(meeting), step):
        index = meeting[begin : begin + step]
        pair = np.take(extremes, index, axis=1)
        if pair.max() == unlabelled:  # the greatest of all ids
            known = np.flatnonzero(pair[1] != unlabelled)
            index, pair = index[known], pair[:, known]
        where = _Where.of(index, cells)
        # Nearly all cells have two classes; the few others are decided again, with all of theirs.
        _decide(logits, pair, where, cells, labels)
        ids = np.take(low, where.corners)
        several = np.flatnonzero(((ids != pair[0]) & (ids != pair[1])).any(axis=0))
        if len(several):
            theirs = np.sort(np.take(ids, several, axis=1), axis=0)
            _decide(logits, theirs, where.take(several), cells, labels)


class Cells(NamedTuple):
    """What lies between four pixels of a picture [h, w], in a larger one [H, W].

    There are m rows of w cells: one below each row of pixels, and one above the first. The last
    cell of a row goes on at column 0. A cell has k rows and l columns of places at most; where it
    has fewer, its last one is repeated.

    above, below [m]: rows of pixels; begins [2, m]: of both, in the flattened picture.
    sides [2, w]: columns of pixels, left and right. empty: columns of cells without a place.
    rows [k, m]: where rows of places begin in the flattened larger picture; row_weights [2, k, m]:
    of the pixels above and below. columns [l, w] of places; column_weights [2, l, w]: of the pixels
    left and right.
    """

    above: Indices
    below: Indices
    begins: Indices
    sides: Indices
    empty: Indices
    rows: Indices
    row_weights: Floats
    columns: Indices
    column_weights: Floats


@lru_cache(maxsize=8)
def find_cells(small: tuple[int, int], size: tuple[int, int]) -> Cells:
    """The cells of a picture of `small` (h, w) that is enlarged to `size` (H, W)."""
    taps, width = find_taps(small, size), small[1]
    top = np.flatnonzero(np.any(np.diff(taps.rows, axis=1, prepend=-1) != 0, axis=0))
    rows = _repeat_last(top, np.diff(top, append=size[0]))
    places = taps.columns[0].astype(np.int64)
    other = places != places[-1]
    begin = int(other.argmax()) if other.any() else 0
    left, end = (np.searchsorted(np.roll(places, -begin), np.arange(width), s) for s in _SIDES)
    columns = _repeat_last(begin + left, end - left) % size[1]
    each = np.arange(width)
    above, below = taps.rows[:, top]
    return Cells(
        above,
        below,
        np.stack([above, below]) * width,
        np.stack([each, each if width == size[1] else np.roll(each, -1)]),
        np.flatnonzero(end == left),
        rows * size[1],
        np.ascontiguousarray(taps.row_weights[:, rows]),
        columns,
        np.ascontiguousarray(taps.column_weights[:, columns]),
    )


def _repeat_last(first: Indices, count: Indices) -> Indices:
    """`count` numbers from each `first` on, as columns of one length."""
    return first + np.minimum(np.arange(count.max())[:, None], np.maximum(count - 1, 0))


def _extremes(low: NDArray[Any], cells: Cells) -> NDArray[Any]:
    """The smallest and the greatest id around each cell, [2, m * w]; equal without a place."""
    right = low
    if cells.sides[0, 0] != cells.sides[1, 0]:  # there is something between columns
        right = np.empty_like(low)
        right[:, :-1], right[:, -1] = low[:, 1:], low[:, 0]
    sides = np.empty((2, *low.shape), low.dtype)
    np.minimum(low, right, out=sides[0])
    np.maximum(low, right, out=sides[1])
    found, below = np.take(sides, cells.above, axis=1), np.take(sides, cells.below, axis=1)
    np.minimum(found[0], below[0], out=found[0])
    np.maximum(found[1], below[1], out=found[1])
    if len(cells.empty):
        found[:, :, cells.empty] = 0
    return found.reshape(2, -1)


class _Where(NamedTuple):
    """n cells: their rows and columns, and the pixels [4, n] around each, in the flattened picture:
    left and right above, left and right below."""

    i: Indices
    j: Indices
    corners: Indices

    @classmethod
    def of(cls, cells_at: Indices, cells: Cells) -> _Where:
        width = cells.sides.shape[1]
        i = cells_at // width
        j = cells_at - i * width
        corners = np.take(cells.begins, i, axis=1)[:, None] + np.take(cells.sides, j, axis=1)
        return cls(i, j, corners.reshape(4, -1))

    def take(self, chosen: Indices) -> _Where:
        return _Where(self.i[chosen], self.j[chosen], np.take(self.corners, chosen, axis=1))


def _decide(
    logits: Floats, ids: NDArray[Any], where: _Where, cells: Cells, labels: NDArray[Any]
) -> None:
    """The greatest of k classes, ids [k, n] in ascending order, at every place of n cells.

    It is np.take that gathers: an index in brackets takes three to five times as long on all but
    one axis, as np.where and np.copyto do for small integers.
    """
    pixels = logits.shape[1] * logits.shape[2]
    score = np.take(logits, ids[:, None] * np.int64(pixels) + where.corners)
    # Minus infinity times a weight of zero would be no number.
    np.maximum(score, _LOWEST, out=score)
    if len(ids) == 2:  # one sum tells which is ahead
        ahead = _between(score[1:] - score[:1], where, cells)[0]
        winner = (ahead > 0) * (ids[1] - ids[0])  # modulo 256
        winner += ids[0]
    else:
        winner = ids[_between(score, where, cells).argmax(axis=0), np.arange(ids.shape[1])]
    rows, columns = np.take(cells.rows, where.i, axis=1), np.take(cells.columns, where.j, axis=1)
    places = rows[:, None] + columns
    labels.reshape(-1)[places] = winner


def _between(corners: Floats, where: _Where, cells: Cells) -> Floats:
    """Interpolate corners [k, 4, n] at the places of n cells: [k, rows, columns, n]."""
    upper, lower = np.take(cells.row_weights, where.i, axis=2)
    near, far = np.take(cells.column_weights, where.j, axis=2)
    left = corners[:, 0, None] * upper
    left += corners[:, 2, None] * lower
    right = corners[:, 1, None] * upper
    right += corners[:, 3, None] * lower
    found = left[:, :, None] * near
    found += right[:, :, None] * far
    return found
