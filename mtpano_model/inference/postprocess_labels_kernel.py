"""postprocess_labels.py as loops that numba compiles."""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import float32, int64, uint8, uint32, void

from mtpano_model.inference.compiled import compiled, part

_BLOCK = 1024
_LOWEST = np.float32(-1e30)


@part
def _take_better(logits, best, ids, index):
    for j in range(logits.shape[0]):
        logit, top = logits[j], best[j]
        ids[j] = index if logit > top else ids[j]
        top = logit if logit > top else top
        best[j] = top if logit == logit else logit  # NaN stays NaN, so one look at the end finds it


@compiled(int64(float32[:, ::1], uint8, uint8[::1]))
def argmax(logits, unlabelled, labels):
    """As postprocess_labels.argmax_labels: logits [C, n] -> labels [n], in place.

    Returns for how many pixels the best logit is not finite; their label is `unlabelled`.
    """
    classes, pixels = logits.shape
    best = np.empty(_BLOCK, np.float32)
    ids = np.empty(_BLOCK, np.int32)
    bad = 0
    for begin in range(0, pixels, _BLOCK):
        size = min(_BLOCK, pixels - begin)
        best[:size] = logits[0, begin : begin + size]
        ids[:size] = 0
        for index in range(1, classes):
            _take_better(logits[index, begin : begin + size], best, ids, np.int32(index))
        for j in range(size):
            finite = np.isfinite(best[j])
            labels[begin + j] = np.uint8(ids[j]) if finite else unlabelled
            bad += not finite
    return bad


@part
def _find_meeting(logits, low, above, below, unlabelled, cells, counts, ids, scores):
    """Find the cells between two rows whose four pixels have several classes, none unlabelled.

    Returns how many. cells [m]: their columns. counts [m], ids [m, 4]: their classes. scores
    [m, 4, 4]: the logits of these classes at the four corners.
    """
    width = low.shape[1]
    found = 0
    for j in range(width):
        after = j + 1 if j + 1 < width else 0
        corners = (low[above, j], low[above, after], low[below, j], low[below, after])
        if corners[0] == corners[1] and corners[0] == corners[2] and corners[0] == corners[3]:
            continue
        count = 0
        for corner in range(4):
            label = corners[corner]
            if label == unlabelled:
                count = 0
                break
            known = False
            for n in range(count):
                known = known or ids[found, n] == label
            if not known:
                plane, at = logits[label], scores[found, count]
                # Minus infinity times a weight of zero would be no number.
                at[0], at[1] = max(plane[above, j], _LOWEST), max(plane[above, after], _LOWEST)
                at[2], at[3] = max(plane[below, j], _LOWEST), max(plane[below, after], _LOWEST)
                ids[found, count] = label
                count += 1
        if count:
            cells[found], counts[found] = j, count
            found += 1
    return found


@part
def _find_columns(columns, begins, ends):
    """The columns of each cell [begin, end); those of the last cell, which lie at both ends of the
    picture, as if the first ones followed the last: an end beyond the width."""
    width = columns.shape[0]
    at_both_ends = 0
    while at_both_ends < width and columns[at_both_ends] == columns[width - 1]:
        at_both_ends += 1
    if at_both_ends == width:
        at_both_ends = 0
    ends[:] = 0
    for place in range(at_both_ends, width + at_both_ends):
        cell = columns[place if place < width else place - width]
        if ends[cell] == 0:
            begins[cell] = place
        ends[cell] = place + 1


@compiled(
    void(
        float32[:, :, ::1],
        uint8[:, ::1],
        uint32[:, ::1],
        float32[:, ::1],
        int64[:, ::1],
        float32[:, ::1],
        uint8,
        uint8[:, ::1],
    )
)
def border_labels(logits, low, columns, column_weights, rows, row_weights, unlabelled, labels):
    """As postprocess_labels.border_labels: correct labels [H, W] at borders, in place.

    logits: [C, h, w]. low: their arg-max [h, w]. columns [2, W], rows [2, H] and their weights:
    the taps of taps.find_taps.
    """
    height, width = labels.shape
    small_height, small_width = low.shape
    begins, ends, cells, counts = np.zeros((4, small_width), np.int64)
    ids = np.empty((small_width, 4), np.uint8)
    scores = np.empty((small_width, 4, 4), np.float32)
    first, second = np.empty((2, 4), np.float32)
    _find_columns(columns[0], begins, ends)
    seen, found = np.int64(-1), np.int64(0)
    for i in range(height):
        above, below = rows[0, i], rows[1, i]
        if above * small_height + below != seen:
            seen = above * small_height + below
            found = _find_meeting(logits, low, above, below, unlabelled, cells, counts, ids, scores)
        upper, lower = row_weights[0, i], row_weights[1, i]
        for m in range(found):
            count = counts[m]
            for n in range(count):
                at = scores[m, n]
                first[n], second[n] = at[0] * upper + at[2] * lower, at[1] * upper + at[3] * lower
            for place in range(begins[cells[m]], ends[cells[m]]):
                j = place if place < width else place - width
                left, right = column_weights[0, j], column_weights[1, j]
                greatest, winner = first[0] * left + second[0] * right, 0
                for n in range(1, count):
                    score = first[n] * left + second[n] * right
                    sooner = score == greatest and ids[m, n] < ids[m, winner]
                    if score > greatest or sooner:  # the first of equals, as in argmax
                        greatest, winner = score, n
                labels[i, j] = ids[m, winner]
