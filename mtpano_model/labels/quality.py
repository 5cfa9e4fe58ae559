"""The error of merged labels against ground truth; with a perfect teacher, the engine's own."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mtpano_model.classes import IGNORE
from mtpano_model.data.pseudo_encoding import PseudoLabels
from mtpano_model.data.sample import Sample


@dataclass
class LabelQuality:
    """Sums over panoramas; `report` makes fractions and degrees of them."""

    panoramas: int = 0
    _sums: dict[str, float] = field(default_factory=dict)

    def add(self, labels: PseudoLabels, truth: Sample) -> None:
        """Labels as they read back from the store, and the truth at the same size.

        ValueError if the sizes differ.
        """
        if labels.depth.shape != truth.size:
            raise ValueError(f"labels of {labels.depth.shape} against a truth of {truth.size}")
        self.panoramas += 1
        true_depth, valid = truth.depth[0].numpy(), truth.depth_valid[0].numpy()
        both = valid & (labels.depth > 0)
        self._add("depth", valid.sum(), both.sum())
        if both.any():
            ratio = labels.depth[both] / true_depth[both]
            self._add("abs_rel", np.abs(ratio - 1).sum())
            # One scale for the whole panorama, the one that a median alignment would take.
            self._add("aligned_abs_rel", np.abs(ratio / np.median(ratio) - 1).sum())
        true_normals, valid = truth.normals.numpy(), truth.normals_valid[0].numpy()
        both = valid & labels.normals.any(-1)
        self._add("normals", valid.sum(), both.sum())
        p, t = labels.normals[both].astype(np.float64), true_normals[:, both].T
        angle = 2 * np.arctan2(np.linalg.norm(p - t, axis=-1), np.linalg.norm(p + t, axis=-1))
        self._add("degrees", np.degrees(angle).sum())
        true_classes = truth.semseg.numpy()
        valid = true_classes != IGNORE
        both = valid & (labels.classes != IGNORE)
        self._add("class", valid.sum(), both.sum())
        self._add("agree", (labels.classes[both] == true_classes[both]).sum())

    def report(self, align_depth: bool = False) -> dict[str, float]:
        """Flat, pooled over all pixels: fractions and degrees.

        depth_abs_rel is depth_abs_rel_metric, or depth_abs_rel_aligned (after one scale a
        panorama) with align_depth: the mean scale of patches with drifting scales is unknown.
        coverage is that of depth; coverages are shares of the truth's valid pixels.
        """
        get = self._sums.get
        covered = {k: _ratio(get(f"{k}_both"), get(f"{k}_valid"))
                   for k in ("depth", "normals", "class")}  # fmt: skip
        metric = _ratio(get("abs_rel"), get("depth_both"))
        aligned = _ratio(get("aligned_abs_rel"), get("depth_both"))
        return {
            "panoramas": self.panoramas,
            "depth_abs_rel": aligned if align_depth else metric,
            "depth_abs_rel_metric": metric,
            "depth_abs_rel_aligned": aligned,
            "normals_mean_deg": _ratio(get("degrees"), get("normals_both")),
            "class_agreement": _ratio(get("agree"), get("class_both")),
            "coverage": covered["depth"],
            "coverage_depth": covered["depth"],
            "coverage_normals": covered["normals"],
            "coverage_class": covered["class"],
        }

    def _add(self, key: str, *values: float) -> None:
        keys = (key,) if len(values) == 1 else (f"{key}_valid", f"{key}_both")
        for name, value in zip(keys, values, strict=True):
            self._sums[name] = self._sums.get(name, 0.0) + float(value)


def _ratio(part: float | None, whole: float | None) -> float:
    return (part or 0.0) / whole if whole else 0.0
