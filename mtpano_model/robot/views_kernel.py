"""Reading a view's pixels from a panorama, as loops that numba compiles.

A view's pixel (i, j) is the panorama's pixel number rows[i, j] + columns[j]; see views.py.
"""
# mypy: disable-error-code="no-untyped-def,call-arg"

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import float32, types, uint8, uint32, void
from numba.extending import intrinsic

from mtpano_model.inference.compiled import compiled

_ONE, _TWO, _THREE, _FOUR = (np.uint64(number) for number in (1, 2, 3, 4))
_TABLES = uint32[:, ::1], uint32[::1]  # rows, columns


@intrinsic
def _load_four(typing, data, first):
    """Four bytes from `first` on, at any address: numba's own views want them aligned."""

    def load(context, builder, signature, arguments):
        four = builder.load(_address(context, builder, signature, arguments))
        four.align = 1
        return four

    return types.uint32(data, first), load


@intrinsic
def _store_four(typing, data, first, four):
    """The reverse of `_load_four`."""

    def store(context, builder, signature, arguments):
        builder.store(arguments[2], _address(context, builder, signature, arguments)).align = 1
        return context.get_dummy_value()

    return types.void(data, first, four), store


def _address(context, builder, signature, arguments):
    data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
    return builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(32).as_pointer())


@compiled(void(uint8[::1], *_TABLES, float32[:, ::1], uint8[::1], float32[:, ::1]))
def take_depth(depth, rows, columns, cosines, taken, out):
    """out [h, w], whose bytes are `taken`, is depth of these pixels, each times its cosine.

    Taken by bytes, because LLVM would take sixteen floats in one instruction, which is slower.
    """
    width, q = np.uint64(out.shape[1]), np.uint64(0)
    first = np.empty(width, np.uint32)  # bytes of a row's pixels
    for i in range(np.uint64(out.shape[0])):
        for j in range(width):
            first[j] = (rows[i, j] + columns[j]) * np.uint32(4)
        for j in range(width):
            _store_four(taken, q, _load_four(depth, np.uint64(first[j])))
            q += _FOUR
        for j in range(width):
            out[i, j] *= cosines[i, j]


@compiled(void(uint8[::1], *_TABLES, uint8[::1]))
def take_colors(picture, rows, columns, out):
    """out [3 h w] is the three bytes of each of these pixels.

    Three are moved as four, in half of the time: the next pixel writes over the fourth. Nothing
    comes behind the last pixel of either picture, so rows with one of these are moved by bytes.
    """
    width, end, q = np.uint64(rows.shape[1]), np.uint32(picture.size - 4), np.uint64(0)
    first = np.empty(width, np.uint32)  # bytes of a row's pixels
    for i in range(rows.shape[0]):
        farthest = np.uint32(0)
        for j in range(width):
            first[j] = (rows[i, j] + columns[j]) * np.uint32(3)
        for j in range(width):
            farthest = max(farthest, first[j])
        if farthest <= end and i + 1 < rows.shape[0]:
            for j in range(width):
                _store_four(out, q, _load_four(picture, np.uint64(first[j])))
                q += _THREE
            continue
        for j in range(width):
            p = np.uint64(first[j])
            out[q] = picture[p]
            out[q + _ONE] = picture[p + _ONE]
            out[q + _TWO] = picture[p + _TWO]
            q += _THREE
