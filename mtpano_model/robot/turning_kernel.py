"""Turning pictures and answers as loops of machine code, where numba is installed.

A picture of 256x512 turned, and an answer of 128x256 turned back, take 2.3 ms of one thread for the
6.3 ms of OpenCV's maps where the attitude changes with every image, and 2.2 ms for 3.4 ms where it
stays (medians in turns). What the numbers mean: turning.py.
"""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import float32, uint8, void

from mtpano_model.inference.compiled import compiled, part
from mtpano_model.robot.places_kernel import by_longitude, places

_HALF, _ONE = np.float32(0.5), np.float32(1)
_BYTE, _GREEN, _BLUE, _WHOLE = np.uint64(8), np.uint64(16), np.uint64(32), np.uint64(256)
_BYTES, _ROUND = np.uint64(0x00FF00FF00FF), np.uint64(0x008000800080)
_TURN = float32[:, ::1], float32[:, ::1], float32[:, ::1]  # turn, latitudes, longitudes


@part
def _neighbours(columns, rows, across, first, right, below):
    """The upper left of the four pixels around each place, and how far it is from there."""
    for j in range(columns.shape[0]):
        column, row = np.int32(columns[j]), np.int32(rows[j])
        first[j] = np.uint64(row) * across + np.uint64(column)
        right[j] = columns[j] - np.float32(column)
        below[j] = rows[j] - np.float32(row)


@part
def _words(pixels, words):
    """A pixel's three bytes, 16 bits apart: one product then weighs all of them."""
    for p in range(np.uint64(words.shape[0])):
        q = np.uint64(3) * p
        red, green, blue = pixels[q], pixels[q + np.uint64(1)], pixels[q + np.uint64(2)]
        words[p] = np.uint64(red) | np.uint64(green) << _GREEN | np.uint64(blue) << _BLUE


@part
def _mixed(one, other, weight):
    """Two words in parts of 256: `weight` of the other."""
    return ((one * (_WHOLE - weight) + other * weight + _ROUND) >> _BYTE) & _BYTES


@compiled(void(*_TURN, uint8[:, :, ::1], uint8[:, :, ::1]))
def turn_picture(turn, latitudes, longitudes, source, out):
    """out [H, W, 3] looks along turn @ ray into a picture with a border of one pixel, bilinearly.

    latitudes [2, H] and longitudes [2, W]: sine and cosine of each.
    """
    width, wide = out.shape[1], np.uint64(source.shape[1])
    words = np.empty(source.shape[0] * source.shape[1], np.uint64)
    _words(source.reshape(-1), words)
    across = np.empty((3, width), np.float32)
    columns, rows = np.empty(width, np.float32), np.empty(width, np.float32)
    right, below = np.empty(width, np.float32), np.empty(width, np.float32)
    first = np.empty(width, np.uint64)
    to_right, to_below = np.empty(width, np.uint64), np.empty(width, np.uint64)
    by_longitude(turn, longitudes, across)
    for i in range(out.shape[0]):
        places(turn, across, latitudes[0, i], latitudes[1, i],
               source.shape[0] - 2, source.shape[1] - 2, columns, rows)  # fmt: skip
        _neighbours(columns, rows, wide, first, right, below)
        for j in range(width):
            to_right[j] = np.uint64(np.int32(right[j] * np.float32(256) + _HALF))
            to_below[j] = np.uint64(np.int32(below[j] * np.float32(256) + _HALF))
        line = out[i].reshape(-1)
        # Unsigned, so that no index is checked for counting from the end.
        for j in range(np.uint64(width)):
            a, q = first[j], np.uint64(3) * j
            c, r = a + wide, to_right[j]
            upper = _mixed(words[a], words[a + np.uint64(1)], r)
            lower = _mixed(words[c], words[c + np.uint64(1)], r)
            mixed = _mixed(upper, lower, to_below[j])
            line[q] = np.uint8(mixed)
            line[q + np.uint64(1)] = np.uint8(mixed >> _GREEN)
            line[q + np.uint64(2)] = np.uint8(mixed >> _BLUE)


@part
def _close(values):
    """Give a map [h + 2, w + 2] its border: its neighbours on the sphere, as `bordered` does."""
    height, width = values.shape[0] - 2, values.shape[1] - 2
    half = width // 2
    for j in range(width):
        k = j + half if j < half else j - half
        values[0, j + 1], values[height + 1, j + 1] = values[1, k + 1], values[height, k + 1]
    for i in range(height + 2):
        values[i, 0], values[i, width + 1] = values[i, width], values[i, 1]


@part
def _bends(before, here, behind, limit, out):
    """Mark where a line of numbers bends by more than `limit` times itself, or is none."""
    for j in range(out.shape[0]):
        around = abs(before[j] + behind[j] - here[j] - here[j])
        out[j] |= np.uint8((around > limit * abs(here[j])) | (here[j] != here[j]))


@compiled(
    void(float32[:, ::1], float32[:, :, ::1], float32, float32[:, :, ::1], uint8[:, ::1]),
)
def prepare(turn, planes, limit, source, hard):
    """source [h + 2, w + 2, 4]: 1 / depth and turn @ normal of planes [4, h, w], with a border.

    hard [h + 2, w + 2]: not zero where one of a pixel and its neighbours to the right and below
    is beside a step: where 1 / depth bends by more than `limit` times itself.
    """
    height, width = planes.shape[1], planes.shape[2]
    inverse = np.empty((height + 2, width + 2), np.float32)
    for i in range(height):
        line = inverse[i + 1]
        for j in range(width):
            line[j + 1] = _ONE / planes[0, i, j]
    _close(inverse)
    for i in range(height):
        found, line = hard[i + 1, 1:-1], inverse[i + 1]
        found[:] = 0
        _bends(line[:-2], line[1:-1], line[2:], limit, found)
        if 0 < i < height - 1:  # not across the poles
            _bends(inverse[i, 1:-1], line[1:-1], inverse[i + 2, 1:-1], limit, found)
    _close(hard)
    for i in range(height + 2):
        for j in range(width + 1):
            hard[i, j] |= hard[i, j + 1]
    for i in range(height + 1):
        for j in range(width + 2):
            hard[i, j] |= hard[i + 1, j]
    for i in range(height):
        x, y, z = planes[1, i], planes[2, i], planes[3, i]
        out = source[i + 1]
        for j in range(width):
            out[j + 1, 0] = inverse[i + 1, j + 1]
            out[j + 1, 1] = turn[0, 0] * x[j] + turn[0, 1] * y[j] + turn[0, 2] * z[j]
            out[j + 1, 2] = turn[1, 0] * x[j] + turn[1, 1] * y[j] + turn[1, 2] * z[j]
            out[j + 1, 3] = turn[2, 0] * x[j] + turn[2, 1] * y[j] + turn[2, 2] * z[j]
    for k in range(4):
        _close(source[:, :, k])


@compiled(
    void(
        *_TURN,
        float32[:, :, ::1],
        uint8[:, ::1],
        uint8[:, ::1],
        float32[:, :, ::1],
        uint8[:, ::1],
    )
)
def turn_answer(turn, latitudes, longitudes, source, hard, labels, planes, ids):
    """planes [4, H, W] and ids [H, W] look along turn @ ray into an answer of a level camera.

    source [h + 2, w + 2, 4]: 1 / depth and the normal, with a border; labels likewise. hard: not
    zero where one of a pixel and its neighbours to the right and below is beside a step.
    """
    width, wide = ids.shape[1], np.uint64(labels.shape[1])
    values, flags, classes = source.reshape(-1), hard.reshape(-1), labels.reshape(-1)
    across = np.empty((3, width), np.float32)
    columns, rows = np.empty(width, np.float32), np.empty(width, np.float32)
    right, below = np.empty(width, np.float32), np.empty(width, np.float32)
    first = np.empty(width, np.uint64)
    by_longitude(turn, longitudes, across)
    for i in range(ids.shape[0]):
        places(turn, across, latitudes[0, i], latitudes[1, i],
               labels.shape[0] - 2, labels.shape[1] - 2, columns, rows)  # fmt: skip
        _neighbours(columns, rows, wide, first, right, below)
        for j in range(np.uint64(width)):
            r, s = right[j], below[j]
            near = first[j]
            near += np.uint64(1) if r >= _HALF else np.uint64(0)
            near += wide if s >= _HALF else np.uint64(0)
            ids[i, j] = classes[near]
            a, n = np.uint64(4) * first[j], np.uint64(4) * near
            b, c = a + np.uint64(4), a + np.uint64(4) * wide
            d = c + np.uint64(4)
            lower_right = r * s
            lower_left, upper_right = s - lower_right, r - lower_right
            upper_left = _ONE - r - lower_left
            alone = flags[first[j]] != 0
            for k in range(np.uint64(4)):
                mixed = (
                    values[a + k] * upper_left + values[b + k] * upper_right
                    + values[c + k] * lower_left + values[d + k] * lower_right
                )  # fmt: skip
                planes[k, i, j] = values[n + k] if alone else mixed
        for j in range(width):
            planes[0, i, j] = _ONE / planes[0, i, j]
