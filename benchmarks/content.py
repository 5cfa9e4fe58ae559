"""Checks received messages: a sample of each is compared with what it must hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_ros.tools.reading import cloud_array, image_array

# Every so-manyth row and column is compared: enough to tell images and sizes apart.
SAMPLE = 16
MOST_FILTERED = 0.1  # of the points


def check(messages: dict[str, Any], depths: NDArray, labels: NDArray) -> str:
    """What is wrong with a set of outputs, "" if nothing is.

    depths [N, h, w], labels [N, h, w]: samples of what each of the N panoramas must give. Naive and
    ours interpolate differently, so single pixels at edges may differ, whole pictures may not.
    """
    depth = image_array(messages["depth"])[::SAMPLE, ::SAMPLE]
    label = image_array(messages["semantic"])[::SAMPLE, ::SAMPLE]
    if depth.shape != depths.shape[1:]:
        return f"depth has {depth.shape} samples, expected {depths.shape[1:]}"
    with np.errstate(invalid="ignore"):  # inf - inf, where both are open
        errors = np.nanmedian(np.abs(depths - depth) / depths, axis=(1, 2))
    best = int(errors.argmin())
    agreement = float((labels[best] == label).mean())
    if not (errors[best] < 0.03 and agreement > 0.8):
        return f"depth off by {errors[best]:.1%}, labels agree on {agreement:.0%}"
    normals = image_array(messages["normals"])[::SAMPLE, ::SAMPLE]
    if not np.allclose(np.linalg.norm(normals, axis=-1), 1.0, atol=1e-3):
        return "normals are not of unit length"
    if "points" in messages:
        points = cloud_array(messages["points"])[::SAMPLE, ::SAMPLE]
        ranges = np.sqrt(points["x"] ** 2 + points["y"] ** 2 + points["z"] ** 2)
        # The edge filter takes points that hang at edges out of the cloud, and no others.
        measured, kept = np.isfinite(depth), np.isfinite(ranges)
        if kept[measured].mean() < 1 - MOST_FILTERED:
            return f"the cloud lacks {1 - kept[measured].mean():.0%} of the points"
        measured &= kept
        if not np.allclose(ranges[measured], depth[measured], rtol=1e-3):
            return "the cloud's ranges are not the depth"
        if not np.array_equal(points["label"], label):
            return "the cloud's labels are not the labels"
    return ""
