"""Errors of depth that disturb robots: bowed walls, blurred steps, points in the air."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry.sphere import rays, solid_angles
from mtpano_model.metrics.figures import Figures
from mtpano_model.metrics.normals import AngleSums, angles_deg
from mtpano_model.metrics.step_width import clean_steps, step_widths
from mtpano_model.metrics.true_planes import fit, planes
from mtpano_model.robot.confidence import normals_of_depth
from mtpano_model.robot.edge_filter import DEFAULT_DEGREES, EdgeFilter

# Where the true depth's own normal is so near to the true one, truth has neither step nor edge.
_SMOOTH_DEG = 5.0
_LEAST_PREDICTED = 0.5  # of a wall's pixels

Floats = NDArray[np.floating]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Surface:
    """What was measured of one frame: (bow, solid angle) of each wall; angles between depth's own
    normals and those given; rows prediction and truth of (hanging points, all points), [2, 2], and
    of steps' widths, [2, N]."""

    bows: list[tuple[float, float]]
    angles: AngleSums
    hanging: NDArray[np.float64]
    widths: NDArray[np.float64]


def measure_surface(
    depth: Floats, normals: Floats, truth: Floats, true_normals: Floats, known: Mask,
    walls: Mask | None,
) -> Surface:  # fmt: skip
    """One frame whose depth and normals are exact.

    depth, truth: [H, W] metres along the ray; normals, true_normals: [H, W, 3]. known: where truth
    has both. walls: [H, W], pixels of walls, None where classes are not known.
    """
    areas = np.broadcast_to(solid_angles(*truth.shape), truth.shape)
    truth = np.where(known, truth, np.nan).astype(np.float32)
    own = normals_of_depth(depth)
    smooth = known & np.isfinite(own).all(-1) & np.isfinite(normals).all(-1)
    smooth &= angles_deg(normals_of_depth(truth), true_normals) < _SMOOTH_DEG
    angles = AngleSums()
    angles.add(angles_deg(own[smooth], normals[smooth]), areas[smooth])
    edges = EdgeFilter(DEFAULT_DEGREES)
    counts = [
        (edges.hanging(points, vectors)[measured].sum(), measured.sum())
        for points, vectors, measured in (
            (depth, normals, known & np.isfinite(depth)),
            (truth, true_normals, known),
        )
    ]
    windows = clean_steps(truth, known)
    return Surface(
        [] if walls is None else _bows(depth, truth, true_normals, walls & known, areas),
        angles,
        np.array(counts, np.float64),
        np.stack([step_widths(depth, windows), step_widths(truth, windows)]),
    )


class SurfaceMetrics:
    """Accumulates any number of frames.

    wall_bow: of each wall plane of the truth, the RMS distance of its predicted points from the
        plane fitted through them, over their mean distance from the camera; the mean over planes,
        weighted by the solid angle at which they are seen.
    depth_to_normals_deg: median angle between the normals of the predicted depth (differences of
        neighbouring points) and the predicted normals, by solid angle, where truth has no step.
    hanging, hanging_truth: share of points that hang in the air by the rule of
        `robot.edge_filter`, of the prediction and of the truth.
    step_width_px, step_width_truth_px: median width of clean depth steps, 10 to 90 %, in columns of
        1,024. steps_missed: share of those steps that the prediction does not have.
    """

    def __init__(self) -> None:
        self._all = Surface([], AngleSums(), np.zeros((2, 2)), np.empty((2, 0)))

    def add(self, surface: Surface) -> Figures:
        """Add one frame and return its own figures."""
        self._all = Surface(
            self._all.bows + surface.bows,
            self._all.angles + surface.angles,
            self._all.hanging + surface.hanging,
            np.concatenate([self._all.widths, surface.widths], axis=1),
        )
        return _figures(surface)

    def pooled(self) -> Figures:
        """Over all planes, pixels and steps alike."""
        return _figures(self._all)


def _bows(
    depth: Floats, truth: Floats, true_normals: Floats, walls: Mask, areas: Floats
) -> list[tuple[float, float]]:
    """(bow, solid angle) of each wall plane of the truth."""
    ray, found = rays(*truth.shape).reshape(-1, 3), []
    for pixels in planes(truth, true_normals, walls):
        metres = depth.ravel()[pixels].astype(np.float64)
        seen = np.isfinite(metres) & (metres > 0)
        if seen.mean() < _LEAST_PREDICTED:
            continue
        pixels, metres = pixels[seen], metres[seen]
        weights = areas.ravel()[pixels]
        _, _, off = fit(ray[pixels] * metres[:, None], weights)
        found.append((off / float(np.average(metres, weights=weights)), float(weights.sum())))
    return found


def _figures(surface: Surface) -> Figures:
    """Those figures that there was something for."""
    figures = {}
    if surface.bows:
        values, weights = zip(*surface.bows, strict=True)
        figures["wall_bow"] = float(np.average(values, weights=weights))
    if surface.angles.weight > 0:
        figures["depth_to_normals_deg"] = surface.angles.median()
    for name, (count, of) in zip(
        ("hanging", "hanging_truth"), surface.hanging.tolist(), strict=True
    ):
        if of:
            figures[name] = count / of
    seen, exact = np.isfinite(surface.widths)
    if seen.any():
        figures["step_width_px"] = float(np.median(surface.widths[0, seen]))
    if exact.any():
        figures["step_width_truth_px"] = float(np.median(surface.widths[1, exact]))
        figures["steps_missed"] = float(1 - seen[exact].mean())
    return figures
