"""Taking the pixels of views as loops of machine code, where numba is installed."""
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import float32, uint32, void

from mtpano_model.inference.compiled import compiled

_BYTE, _COLOR = np.uint32(8), np.uint32(0x00FFFFFF)
_ONE, _TWO, _THREE = np.uint64(1), np.uint64(2), np.uint64(3)


@compiled(void(float32[::1], uint32[::1], float32[::1], float32[::1]))
def take_depth(depth, pixels, cosines, out):
    """out [n] is depth of these pixels, each times its cosine."""
    # Unsigned, so that no index is checked for counting from the end.
    for p in range(np.uint64(out.shape[0])):
        out[p] = depth[pixels[p]] * cosines[p]


@compiled(void(uint32[::1], uint32[::1], uint32[::1]))
def take_colors(picture, pixels, out):
    """Three bytes of each of these pixels of four; four of them are three words of out."""
    for group in range(np.uint64(out.shape[0] // 3)):
        p, q = group << _TWO, group * _THREE
        first, second = picture[pixels[p]] & _COLOR, picture[pixels[p + _ONE]] & _COLOR
        third, fourth = picture[pixels[p + _TWO]] & _COLOR, picture[pixels[p + _THREE]]
        out[q] = first | second << np.uint32(24)
        out[q + _ONE] = second >> _BYTE | third << np.uint32(16)
        out[q + _TWO] = third >> np.uint32(16) | fourth << _BYTE
