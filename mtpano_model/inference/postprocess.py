"""Network outputs -> a `Frame` of the size asked for, with the rules for special values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.inference.frame import Frame
from mtpano_model.inference.model_info import ModelInfo
from mtpano_model.inference.resize import resize_linear, resize_nearest

Outputs = Mapping[str, NDArray[Any]]
# Pixels a pass: the working set of the arg-max then stays in the second-level cache.
_BLOCK = 32768


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


def postprocess(
    outputs: Outputs,
    info: ModelInfo,
    size: tuple[int, int],
    rules: ValueRules | None = None,
    out: Frame | None = None,
) -> Frame:
    """Engine outputs of `info`'s model -> Frame at `size` (H, W), written into `out` if given.

    The frame never shares memory with `outputs`. Labels are the arg-max at the decoder's
    resolution, then the nearest pixel; depth and normals are bilinear across the seam, normals
    unit length again. NaN and infinities of the network become NaN (labels: unlabelled).
    """
    frame = out if out is not None else Frame.empty(size, len(info.classes))
    if info.tail == "cpu":
        labels, bad_labels = argmax_labels(outputs["semseg"][0], info.unlabelled)
        planes = list(outputs["normals"][0])
        depth = outputs["depth"][0, 0]
    else:
        labels, bad_labels = outputs["labels"][0], 0
        planes = list(cv2.split(outputs["normals"][0]))
        depth = outputs["depth"][0]
    resize_nearest(labels.astype(frame.labels.dtype, copy=False), size, frame.labels)
    depth, bad_depth = _nan_where_not_finite(depth)
    resize_linear(depth, size, frame.depth)
    bad_normals = _unit_normals(planes, size, frame.normals)
    frame.non_finite = bad_labels + bad_depth + bad_normals
    _apply_rules(frame, info, rules or ValueRules())
    return frame


def argmax_labels(logits: NDArray[np.float32], unlabelled: int = 255) -> tuple[NDArray[Any], int]:
    """Logits [C, h, w] -> (ids [h, w], how many logits pixels were not finite).

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


def _nan_where_not_finite(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    finite = np.isfinite(values)
    if finite.all():
        return values, 0
    return np.where(finite, values, np.float32(np.nan)), int(values.size - np.count_nonzero(finite))


def _unit_normals(
    planes: list[NDArray[np.float32]], size: tuple[int, int], out: NDArray[np.float32]
) -> int:
    """Resize three planes, normalise, interleave into out [H, W, 3]; returns the non-finite count.

    A vector of length zero divides to NaN, which is the rule for it.
    """
    bad = 0
    resized = []
    for plane in planes:
        plane, count = _nan_where_not_finite(plane)
        resized.append(resize_linear(plane, size))
        bad += count
    x, y, z = resized
    scale = x * x
    square = y * y
    scale += square
    np.multiply(z, z, out=square)
    scale += square
    with np.errstate(divide="ignore", invalid="ignore"):
        np.sqrt(scale, out=scale)
        np.divide(np.float32(1), scale, out=scale)
        for plane in resized:
            plane *= scale
    cv2.merge(resized, dst=out)
    return bad


def _apply_rules(frame: Frame, info: ModelInfo, rules: ValueRules) -> None:
    """Write the special values; where two rules meet, NaN beats open, open beats the ranges."""
    depth = frame.depth
    unknown = ~(depth > 0)  # zero, negative and NaN
    if rules.min_range > 0:
        depth[depth < rules.min_range] = -np.inf
    if np.isfinite(rules.max_range):
        depth[depth > rules.max_range] = np.inf
    depth[unknown] = np.nan
    no_surface = unknown
    if any(info.classes.open):
        is_open = np.zeros(info.unlabelled + 1, bool)
        is_open[: len(info.classes)] = info.classes.open
        open_pixels = is_open[frame.labels]
        depth[open_pixels] = np.inf
        no_surface = unknown | open_pixels
    if rules.mask is not None:
        masked = resize_nearest((rules.mask != 0).view(np.uint8), frame.size).view(bool)
        depth[masked] = np.nan
        no_surface = no_surface | masked
    if no_surface.any():
        frame.normals[no_surface] = np.nan
