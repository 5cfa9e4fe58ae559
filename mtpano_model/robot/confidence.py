"""Confidence of each pixel, for networks that predict none.

It is the product of two measures that were not trained to agree: the softmax probability of the
best class, and how well the normal of the predicted depth agrees with the predicted normal (cos^2
of the angle between them, so 0 at right angles).
"""

from __future__ import annotations

import numpy as np

from mtpano_model.geometry.sphere import rays
from mtpano_model.robot.sampling import Floats


def best_probability(logits: Floats) -> Floats:
    """Softmax probability of the best class, logits [C, h, w] -> [h, w]; NaN logits give 0."""
    with np.errstate(invalid="ignore"):
        best = logits.max(0)
        total = np.exp(logits - best).sum(0)
        return np.nan_to_num(1 / total, nan=0.0, posinf=0.0).astype(np.float32, copy=False)


def normals_of_depth(depth: Floats) -> Floats:
    """Normals of the surface through neighbouring points, towards the camera, [H, W, 3].

    Differences over two pixels, across the seam; NaN in the first and last row and where a
    neighbour has no surface.
    """
    points = rays(*depth.shape) * np.where(np.isfinite(depth), depth, np.nan)[..., None]
    across = np.roll(points, -1, axis=1) - np.roll(points, 1, axis=1)
    down = np.full_like(points, np.nan)
    down[1:-1] = points[2:] - points[:-2]
    normals = np.cross(down, across)
    with np.errstate(invalid="ignore", divide="ignore"):
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return normals.astype(np.float32, copy=False)


def agreement(depth: Floats, normals: Floats) -> Floats:
    """cos^2 of the angle between depth's own normals and those given, [H, W]; 0 where unknown."""
    cosine = np.einsum("hwc,hwc->hw", normals_of_depth(depth), normals)
    return np.nan_to_num(np.maximum(cosine, 0) ** 2)


def confidence(logits: Floats | None, depth: Floats, normals: Floats) -> Floats:
    """0 to 1 for every pixel of an answer, [h, w]; 0 where depth is unknown.

    logits: [C, h, w]; None where the graph gives none, and then the surface alone decides. depth:
    [h, w]; normals: [3, h, w]. The first and the last row, which have no normals of their own, take
    those beside them.
    """
    sure = agreement(depth, np.moveaxis(normals, 0, -1))
    sure[0], sure[-1] = sure[1], sure[-2]
    if logits is not None:
        sure *= best_probability(logits)
    return sure
