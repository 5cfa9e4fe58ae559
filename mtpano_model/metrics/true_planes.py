"""Which pixels of a panorama lie on the same plane of the ground truth."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry.sphere import surface_points

_PARALLEL = np.cos(np.radians(3.0))  # normals are stored in eight bits, 0.4 degrees
# How far a neighbour may lie off a pixel's plane: millimetres are rounded, and so are normals.
_OFF_M, _OFF_RELATIVE = 0.002, 0.01
_COPLANAR_M = 0.01
_MARGIN_SHARE = 1 / 256  # of the columns: what is so near to a border is about steps, not planes
_LEAST_SHARE = 1 / 400  # of all pixels
_LEAST_PIECE = 16  # pixels


def planes(
    depth: NDArray[np.floating], normals: NDArray[np.floating], chosen: NDArray[np.bool_]
) -> list[NDArray[np.intp]]:
    """Flat indices of the pixels of each plane, the largest first.

    depth: [H, W] true metres along the ray; normals: [H, W, 3] true, unit; chosen: pixels [H, W]
    to look at, all of which have both. A plane may show in several places, such as the two sides of
    a door. Left out are a margin of W / 256 pixels along borders, planes of fewer than one pixel in
    400, and what bends.
    """
    width = depth.shape[1]
    points = surface_points(np.where(chosen, depth, 0))
    inner = chosen & _linked(points, normals, chosen, 1) & _linked(points, normals, chosen, 0)
    margin = max(round(width * _MARGIN_SHARE), 1)
    padded = np.pad(inner.view(np.uint8), ((0, 0), (margin, margin)), mode="wrap")
    square = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    inner = cv2.erode(padded, square)[:, margin:-margin].view(bool)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(inner).view(np.uint8), connectivity=4
    )
    sizes = statistics[:, cv2.CC_STAT_AREA]
    order = np.argsort(labels, axis=None, kind="stable")
    pieces = np.split(order, np.cumsum(sizes)[:-1])[1:]  # the first are pixels of no piece
    pieces = sorted((p for p in pieces if len(p) >= _LEAST_PIECE), key=len, reverse=True)
    found = []
    least = _LEAST_SHARE * depth.size
    flat = points.reshape(-1, 3).astype(np.float64)
    while pieces:
        middle, normal, spread = fit(flat[pieces[0]])
        near = [np.abs((flat[p] - middle) @ normal).max() < _COPLANAR_M for p in pieces]
        near[0] = True
        together = np.concatenate([p for p, on in zip(pieces, near, strict=True) if on])
        pieces = [p for p, on in zip(pieces, near, strict=True) if not on]
        if len(together) >= least and spread < _COPLANAR_M / 2:
            found.append(together)
    return found


def fit(
    points: NDArray[np.floating], weights: NDArray[np.floating] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Least squares plane of points [N, 3]: a point on it, its normal, the RMS distance from it."""
    weights = np.ones(len(points)) if weights is None else weights
    weights = weights / weights.sum()
    middle = weights @ points
    off = points - middle
    values, vectors = np.linalg.eigh((off * weights[:, None]).T @ off)
    return middle, vectors[:, 0], float(np.sqrt(max(values[0], 0)))


def _linked(
    points: NDArray[np.floating],
    normals: NDArray[np.floating],
    chosen: NDArray[np.bool_],
    axis: int,
) -> NDArray[np.bool_]:
    """Where the next pixel along an axis is on the pixel's plane, or is not looked at."""
    step = np.roll(points, -1, axis) - points
    off = np.abs((normals * step).sum(-1))
    parallel = (normals * np.roll(normals, -1, axis)).sum(-1) > _PARALLEL
    linked = parallel & (off < _OFF_M + _OFF_RELATIVE * np.linalg.norm(step, axis=-1))
    linked |= ~np.roll(chosen, -1, axis)
    if axis == 0:
        linked[-1] = True
    return linked
