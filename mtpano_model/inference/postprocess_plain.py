"""Fills depth and normals of a frame with numpy and OpenCV, without compiled loops."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.inference.frame import Frame
from mtpano_model.inference.postprocess_rules import ValueRules, open_pixels
from mtpano_model.pictures.resize import resize_linear

Floats = NDArray[np.float32]
# Rows a pass: the working set then stays in the second-level cache.
_ROWS = 32


class PlainFill:
    """Fills frames; keeps its scratch memory, so it allows one call at a time.

    Fresh memory would cost more than the arithmetic: its pages are zeroed and mapped one by one.
    """

    def __init__(self) -> None:
        self._planes = np.empty((3, 0, 0), np.float32)
        self._flags = np.empty((2, 0, 0), bool)

    def fill(
        self,
        depth: Floats,
        vectors: Floats | None,
        rules: ValueRules,
        mask: NDArray[np.bool_] | None,
        is_open: NDArray[np.bool_] | None,
        frame: Frame,
    ) -> None:
        """depth [h, w] and vectors [3, h, w], if any, into the frame, by the rules for values.

        mask: [H, W], of what is hidden. is_open: by class id, None where no class is open.
        """
        if self._flags.shape[1:] != frame.size:
            self._flags = np.empty((2, *frame.size), bool)
        resize_linear(depth, frame.size, frame.depth)
        no_surface = self._apply_rules(frame, rules, mask, is_open)
        if vectors is not None:
            self.unit_normals(vectors, frame.normals)
            if no_surface.any():
                frame.normals.reshape(-1, 3)[np.flatnonzero(no_surface)] = np.nan

    def unit_normals(self, normals: Floats, out: Floats) -> None:
        """Resize vectors [3, h, w], normalise them and interleave them into out [H, W, 3].

        A vector of length zero becomes NaN. Vectors that have the size are read without a copy.
        """
        height, width = out.shape[:2]
        fit = normals.shape[1:] == (height, width)
        room = (3, _ROWS if fit else height, width)
        if self._planes.shape != room:
            self._planes = np.empty(room, np.float32)
        if not fit:
            for plane, resized in zip(normals, self._planes, strict=True):
                resize_linear(plane, (height, width), resized)
            normals = self._planes
        scale, square = np.empty((2, _ROWS, width), np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            for begin in range(0, height, _ROWS):
                rows = slice(begin, begin + _ROWS)
                x, y, z = normals[:, rows]
                length, part = scale[: len(x)], square[: len(x)]
                np.multiply(x, x, out=length)
                length += np.multiply(y, y, out=part)
                length += np.multiply(z, z, out=part)
                np.divide(np.float32(1), np.sqrt(length, out=length), out=length)
                unit = self._planes[:, slice(len(x)) if fit else rows]
                for component, scaled in zip((x, y, z), unit, strict=True):
                    np.multiply(component, length, out=scaled)
                cv2.merge(tuple(unit), dst=out[rows])

    def _apply_rules(
        self,
        frame: Frame,
        rules: ValueRules,
        mask: NDArray[np.bool_] | None,
        is_open: NDArray[np.bool_] | None,
    ) -> NDArray[np.bool_]:
        """Write the special depths; where two rules meet, NaN beats open beats the ranges.

        Returns where there is no surface, [H, W] in scratch memory.
        """
        depth = frame.depth
        no_surface, flag = self._flags
        np.logical_not(np.greater(depth, 0, out=flag), out=no_surface)  # zero, negative and NaN
        if rules.min_range > 0:
            np.copyto(depth, -np.inf, where=np.less(depth, rules.min_range, out=flag))
        if np.isfinite(rules.max_range):
            np.copyto(depth, np.inf, where=np.greater(depth, rules.max_range, out=flag))
        np.copyto(depth, np.nan, where=no_surface)
        if is_open is not None:
            sky = open_pixels(is_open, frame.labels)
            np.copyto(depth, np.inf, where=sky)
            no_surface |= sky
        if mask is not None:
            np.copyto(depth, np.nan, where=mask)
            no_surface |= mask
        return no_surface
