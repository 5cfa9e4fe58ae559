"""All metrics together: takes frames, and gives the content of `metrics.json`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import ClassSet
from mtpano_model.geometry.sphere import solid_angles
from mtpano_model.metrics.depth import DepthMetrics
from mtpano_model.metrics.figures import Figures, mean_figures
from mtpano_model.metrics.normals import NormalsMetrics
from mtpano_model.metrics.protocols import Protocol
from mtpano_model.metrics.seam import SeamJumps
from mtpano_model.metrics.semseg import SemsegMetrics
from mtpano_model.metrics.sparsification import Sparsification
from mtpano_model.metrics.surfaces import Surface, SurfaceMetrics, measure_surface

# What Delta_MTL averages (arXiv 2602.05330, table of the ablation), and whether more is better.
DELTA_FIGURES = (("semseg", "miou", True), ("depth", "rmse", False), ("normals", "mean_deg", False))


@dataclass
class Maps:
    """Depth, normals and labels of one panorama, predicted or true, at one size H x W.

    depth: [H, W] metres along the ray. normals: [H, W, 3], optical frame. labels: [H, W] class
    ids, IGNORE unlabelled. depth_valid, normals_valid: [H, W], of ground truth; None: everywhere.
    confidence: [H, W] in 0..1, predicted. What a network does not predict is None.
    """

    depth: NDArray[np.float32] | None
    normals: NDArray[np.float32] | None
    labels: NDArray[np.integer] | None
    depth_valid: NDArray[np.bool_] | None = None
    normals_valid: NDArray[np.bool_] | None = None
    confidence: NDArray[np.float32] | None = None


class Evaluation:
    """Accumulates all metrics of one model on one data set.

    classes: the class set in which labels are compared. align: scale each depth prediction to the
    frame's median first, in every figure.
    """

    def __init__(self, protocol: Protocol, classes: ClassSet, align: bool = False):
        self.align = align
        self.frames = 0
        self.depth = DepthMetrics(protocol)
        self.normals = NormalsMetrics(protocol)
        self.semseg = SemsegMetrics(protocol, classes)
        self.seam = SeamJumps()
        self.surface = SurfaceMetrics()
        self.confidence = Sparsification()
        self._by_frame: defaultdict[str, list[Figures]] = defaultdict(list)

    def update(
        self, prediction: Maps, truth: Maps, surface: Surface | None = None
    ) -> dict[str, Figures]:
        """Add one frame; returns its own figures by task. surface: see `surface_of`."""
        self.frames += 1
        figures: dict[str, Figures] = {}
        if prediction.depth is not None and truth.depth is not None:
            areas = solid_angles(*truth.depth.shape)
            valid = _everywhere(truth.depth_valid, truth.depth)
            figures["depth"] = self.depth.update(
                prediction.depth, truth.depth, valid, areas, self.align
            )
            self.seam.update(prediction.depth, truth.depth, valid)
            if prediction.confidence is not None:
                figures["confidence"] = self.confidence.update(
                    prediction.confidence, prediction.depth, truth.depth, valid
                )
        if prediction.normals is not None and truth.normals is not None:
            areas = solid_angles(*truth.normals.shape[:2])
            valid = _everywhere(truth.normals_valid, truth.normals[..., 0])
            figures["normals"] = self.normals.update(
                prediction.normals, truth.normals, valid, areas
            )
        if prediction.labels is not None and truth.labels is not None:
            areas = solid_angles(*truth.labels.shape)
            figures["semseg"] = self.semseg.update(prediction.labels, truth.labels, areas)
        if surface is not None:
            figures["surface"] = self.surface.add(surface)
        figures = {task: found for task, found in figures.items() if found}
        for task, found in figures.items():
            self._by_frame[task].append(found)
        return figures

    def summary(self) -> dict[str, Any]:
        """Pooled figures by task at the top level; fractions, metres and degrees."""
        parts: dict[str, Mapping[str, Figures]] = {
            "pooled": self._each("pooled", self._all),
            "per_image": {task: mean_figures(self._by_frame[task]) for task in self._all},
            "cos_weighted": self._each("cos_weighted", self._maps),
            "median_aligned": {"depth": self.depth.median_aligned()},
        }
        present = {k: {t: f for t, f in v.items() if f} for k, v in parts.items()}
        counted = {"frames": self.frames, "seam": self.seam.result()}
        return {**present.pop("pooled"), **present, **counted}

    @property
    def _maps(self) -> dict[str, Any]:
        return {"depth": self.depth, "normals": self.normals, "semseg": self.semseg}

    @property
    def _all(self) -> dict[str, Any]:
        return {**self._maps, "surface": self.surface, "confidence": self.confidence}

    @staticmethod
    def _each(variant: str, metrics: Mapping[str, Any]) -> dict[str, Figures]:
        return {task: getattr(metric, variant)() for task, metric in metrics.items()}


def surface_of(prediction: Maps, truth: Maps, classes: ClassSet) -> Surface | None:
    """What can be measured of a frame whose depth and normals are exact, None without those."""
    if prediction.depth is None or prediction.normals is None:
        return None
    if truth.depth is None or truth.normals is None:
        return None
    known = _everywhere(truth.depth_valid, truth.depth)
    known = known & _everywhere(truth.normals_valid, truth.depth)
    walls = None
    if truth.labels is not None and "wall" in classes.names:
        walls = truth.labels == classes.names.index("wall")
    return measure_surface(
        prediction.depth, prediction.normals, truth.depth, truth.normals, known, walls
    )


def delta_mtl(
    figures: Mapping[str, Mapping[str, float]], single: Mapping[str, Mapping[str, float]]
) -> float:
    """Mean signed relative change against single-task networks; 0.05 is 5 % better.

    Both by task and figure, as in `Evaluation.summary`. Uses mIoU, depth RMSE and the normals'
    mean angle; tasks that `single` lacks are left out.
    """
    changes = []
    for task, name, more_is_better in DELTA_FIGURES:
        if task in single and task in figures:
            change = figures[task][name] / single[task][name] - 1
            changes.append(change if more_is_better else -change)
    return float(np.mean(changes))


def _everywhere(valid: NDArray[np.bool_] | None, like: NDArray) -> NDArray[np.bool_]:
    return np.ones(like.shape, bool) if valid is None else valid
