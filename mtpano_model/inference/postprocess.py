"""Network outputs -> a `Frame` of the size asked for, with the rules for special values.

Two ways to the same frame: numpy and OpenCV, always; and loops that numba compiles, half the
time, for whoever asks for them and has it installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.frame import Frame
from mtpano_model.inference.model_info import ModelInfo
from mtpano_model.inference.resize import resize_linear, resize_nearest
from mtpano_model.inference.taps import find_taps

Outputs = Mapping[str, NDArray[Any]]
Floats = NDArray[np.float32]
# Pixels and rows a pass: the working set then stays in the second-level cache.
_BLOCK = 32768
_ROWS = 32


@dataclass(frozen=True, eq=False)
class ValueRules:
    """Which depths are told as special values (REP-117).

    min_range, max_range: metres; nearer becomes -Inf, farther +Inf.
    mask: bool or uint8 [h, w] of any 2:1 size, non-zero where the picture shows the robot itself
        (tripod, chassis): depth and normals become NaN there.
    """

    min_range: float = 0.0
    max_range: float = float("inf")
    mask: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_range < self.max_range:
            raise MtpanoError(
                f"ranges {self.min_range:g} to {self.max_range:g} m make no sense: expected "
                "0 <= min_range < max_range"
            )


class Postprocessor:
    """Turns outputs of one model into frames; keeps its scratch memory, so one call at a time.

    compiled: use numba's loops; None: if numba is there. Its import takes half a second; the
    loops are compiled once on a machine, which takes some seconds.
    """

    def __init__(self, info: ModelInfo, compiled: bool | None = False) -> None:
        self._info = info
        # Ids of 16 bits are rare enough to go the plain way.
        self._kernel = _kernel(required=bool(compiled)) if compiled is not False else None
        if info.unlabelled != 255:
            self._kernel = None
        self._is_open = np.zeros(info.unlabelled + 1, bool)
        self._is_open[: len(info.classes)] = info.classes.open
        # Fresh memory costs more than the arithmetic: its pages are zeroed and mapped one by one.
        self._planes = np.empty((3, 0, 0), np.float32)
        self._flags = np.empty((2, 0, 0), bool)

    def __call__(
        self,
        outputs: Outputs,
        size: tuple[int, int],
        rules: ValueRules | None = None,
        out: Frame | None = None,
    ) -> Frame:
        """Engine outputs -> Frame at `size` (H, W), written into `out` if given.

        The frame never shares memory with `outputs`. Labels are the arg-max at the decoder's
        resolution, then the nearest pixel; depth and normals are bilinear across the seam, normals
        unit length again. NaN and infinities of the network become NaN (labels: unlabelled).
        """
        frame = out if out is not None else Frame.empty(size, len(self._info.classes))
        if frame.size != size:
            raise ValueError(f"the frame to fill is {frame.size}, expected {size}")
        rules = rules or ValueRules()
        if self._info.tail == "cpu":
            labels, bad_labels = self._argmax(outputs["semseg"][0])
            normals = outputs["normals"][0]
            depth = outputs["depth"][0, 0]
        else:
            labels, bad_labels = outputs["labels"][0], 0
            normals = np.moveaxis(outputs["normals"][0], -1, 0)
            depth = outputs["depth"][0]
        planes, bad_planes = _finite_or_nan([depth, *normals])
        frame.non_finite = bad_labels + bad_planes
        labels = labels.astype(frame.labels.dtype, copy=False)
        if self._kernel is not None:
            self._fill_compiled(self._kernel, planes, labels, rules, frame)
        else:
            self._fill(planes, labels, rules, frame)
        return frame

    def _argmax(self, logits: Floats) -> tuple[NDArray[Any], int]:
        if self._kernel is None:
            return argmax_labels(logits, self._info.unlabelled)
        classes, height, width = logits.shape
        labels = np.empty(height * width, np.uint8)
        flat = np.ascontiguousarray(logits, np.float32).reshape(classes, -1)
        bad = self._kernel.argmax(flat, self._info.unlabelled, labels)
        return labels.reshape(height, width), bad

    def _fill_compiled(
        self,
        kernel: ModuleType,
        planes: Floats,
        labels: NDArray[Any],
        rules: ValueRules,
        frame: Frame,
    ) -> None:
        height, width = labels.shape
        taps = find_taps((height, width), frame.size)
        mask = (
            np.empty((0, 0), np.uint8) if rules.mask is None else _resized(rules.mask, frame.size)
        )
        kernel.fill(
            planes,
            np.ascontiguousarray(labels),
            *taps,
            np.float32(rules.min_range),
            np.float32(rules.max_range),
            self._is_open if any(self._info.classes.open) else self._is_open[:0],
            mask,
            frame.depth,
            frame.normals,
            frame.labels,
        )

    def _fill(self, planes: Floats, labels: NDArray[Any], rules: ValueRules, frame: Frame) -> None:
        if self._planes.shape[1:] != frame.size:
            self._planes = np.empty((3, *frame.size), np.float32)
            self._flags = np.empty((2, *frame.size), bool)
        resize_nearest(labels, frame.size, frame.labels)
        resize_linear(planes[0], frame.size, frame.depth)
        self._unit_normals(planes[1:], frame.normals)
        self._apply_rules(frame, rules)

    def _unit_normals(self, normals: Floats, out: Floats) -> None:
        """Resize three planes, normalise, interleave into out.

        A vector of length zero divides to NaN, which is the rule for it.
        """
        for plane, resized in zip(normals, self._planes, strict=True):
            resize_linear(plane, resized.shape, resized)
        scale, square = np.empty((2, _ROWS, out.shape[1]), np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            for begin in range(0, len(out), _ROWS):
                rows = slice(begin, begin + _ROWS)
                x, y, z = self._planes[:, rows]
                length, part = scale[: len(x)], square[: len(x)]
                np.multiply(x, x, out=length)
                length += np.multiply(y, y, out=part)
                length += np.multiply(z, z, out=part)
                np.divide(np.float32(1), np.sqrt(length, out=length), out=length)
                for component in (x, y, z):
                    component *= length
                cv2.merge((x, y, z), dst=out[rows])

    def _apply_rules(self, frame: Frame, rules: ValueRules) -> None:
        """Write the special values; where two rules meet, NaN beats open beats the ranges."""
        depth = frame.depth
        no_surface, flag = self._flags
        np.logical_not(np.greater(depth, 0, out=flag), out=no_surface)  # zero, negative and NaN
        if rules.min_range > 0:
            np.copyto(depth, -np.inf, where=np.less(depth, rules.min_range, out=flag))
        if np.isfinite(rules.max_range):
            np.copyto(depth, np.inf, where=np.greater(depth, rules.max_range, out=flag))
        np.copyto(depth, np.nan, where=no_surface)
        if any(self._info.classes.open):
            np.take(self._is_open, frame.labels, out=flag)
            np.copyto(depth, np.inf, where=flag)
            no_surface |= flag
        if rules.mask is not None:
            masked = _resized(rules.mask, frame.size).view(bool)
            np.copyto(depth, np.nan, where=masked)
            no_surface |= masked
        if no_surface.any():
            frame.normals[no_surface] = np.nan


def argmax_labels(logits: Floats, unlabelled: int = 255) -> tuple[NDArray[Any], int]:
    """Logits [C, h, w] -> (ids [h, w], how many pixels' logits were not finite).

    The first of equal logits wins, as in np.argmax; a pixel whose best logit is not finite becomes
    `unlabelled`. Running maximum by blocks of pixels: np.argmax over the first axis strides
    through memory and takes ten times as long.
    """
    classes, height, width = logits.shape
    flat = logits.reshape(classes, -1)
    kind = np.uint8 if unlabelled == 255 else np.uint16
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


def _resized(mask: NDArray[Any], size: tuple[int, int]) -> NDArray[np.uint8]:
    return resize_nearest((mask != 0).view(np.uint8), size)


def _finite_or_nan(planes: Sequence[Floats]) -> tuple[Floats, int]:
    """[n, h, w] of n planes, infinities made NaN, and how many values were not finite."""
    values = np.stack(planes)
    finite = np.isfinite(values)
    if finite.all():
        return values, 0
    values[~finite] = np.nan
    return values, int(values.size - np.count_nonzero(finite))


def _kernel(required: bool) -> ModuleType | None:
    try:
        from mtpano_model.inference import postprocess_kernel
    except ImportError:
        if required:
            raise
        return None
    return postprocess_kernel
