"""Network outputs -> a `Frame` of the size asked for, with the rules for special values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.frame import Frame
from mtpano_model.inference.model_info import ModelInfo
from mtpano_model.inference.resize import resize_linear, resize_nearest

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

    Fresh memory costs more than the arithmetic: its pages are zeroed and mapped one by one.
    """

    def __init__(self, info: ModelInfo) -> None:
        self._info = info
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
        if self._planes.shape[1:] != size:
            self._planes = np.empty((3, *size), np.float32)
            self._flags = np.empty((2, *size), bool)
        if self._info.tail == "cpu":
            labels, bad_labels = argmax_labels(outputs["semseg"][0], self._info.unlabelled)
            normals = outputs["normals"][0]
            depth = outputs["depth"][0, 0]
        else:
            labels, bad_labels = outputs["labels"][0], 0
            normals = cv2.split(outputs["normals"][0])
            depth = outputs["depth"][0]
        resize_nearest(labels.astype(frame.labels.dtype, copy=False), size, frame.labels)
        depth, bad_depth = _nan_where_not_finite(depth)
        resize_linear(depth, size, frame.depth)
        bad_normals = self._unit_normals(normals, frame.normals)
        frame.non_finite = bad_labels + bad_depth + bad_normals
        self._apply_rules(frame, rules or ValueRules())
        return frame

    def _unit_normals(self, normals: Sequence[Floats], out: Floats) -> int:
        """Resize three planes, normalise, interleave into out; returns the non-finite count.

        A vector of length zero divides to NaN, which is the rule for it.
        """
        bad = 0
        for plane, resized in zip(normals, self._planes, strict=True):
            plane, count = _nan_where_not_finite(plane)
            resize_linear(plane, resized.shape, resized)
            bad += count
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
        return bad

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
            is_open = np.zeros(self._info.unlabelled + 1, bool)
            is_open[: len(self._info.classes)] = self._info.classes.open
            np.take(is_open, frame.labels, out=flag)
            np.copyto(depth, np.inf, where=flag)
            no_surface |= flag
        if rules.mask is not None:
            masked = resize_nearest((rules.mask != 0).view(np.uint8), frame.size).view(bool)
            np.copyto(depth, np.nan, where=masked)
            no_surface |= masked
        if no_surface.any():
            frame.normals[no_surface] = np.nan


def postprocess(
    outputs: Outputs,
    info: ModelInfo,
    size: tuple[int, int],
    rules: ValueRules | None = None,
    out: Frame | None = None,
) -> Frame:
    """`Postprocessor` for a single frame."""
    return Postprocessor(info)(outputs, size, rules, out)


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


def _nan_where_not_finite(values: Floats) -> tuple[Floats, int]:
    finite = np.isfinite(values)
    if finite.all():
        return values, 0
    return np.where(finite, values, np.float32(np.nan)), int(values.size - np.count_nonzero(finite))
