"""Run a model over a data set and measure it."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.data.sample import Sample, spread
from mtpano_model.errors import MtpanoError
from mtpano_model.evaluation.data_sets import Comparison
from mtpano_model.evaluation.groups import groups_of, in_order
from mtpano_model.evaluation.predictor import Predictor
from mtpano_model.metrics.evaluation import Evaluation, Maps, surface_of
from mtpano_model.metrics.figures import Figures, mean_figures
from mtpano_model.metrics.protocols import Protocol
from mtpano_model.metrics.seam import roll_error
from mtpano_model.metrics.sparsification import POINTS
from mtpano_model.progress_bar import progress_bar

logger = logging.getLogger(__name__)

# What ranks frames from best to worst in each task: figure, and whether more is better.
RANKING = {
    "depth": ("abs_rel", False),
    "normals": ("mean_deg", False),
    "semseg": ("miou", True),
}


_ROLL = 0.37


@dataclass
class Outcome:
    """All that was found.

    metrics: the content of metrics.json (without its "about"). frames: (index, name, figures by
    task) of every frame. skipped: frames that could not be read, with the reason.
    """

    evaluation: Evaluation
    metrics: dict[str, Any]
    frames: list[tuple[int, str, dict[str, Figures]]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    seconds_per_frame: float = 0.0

    def extremes(self, count: int) -> dict[str, tuple[list[int], list[int]]]:
        """Data set indices of the `count` best and the `count` worst frames by task."""
        result = {}
        for task, (name, more_is_better) in RANKING.items():
            scored = [(f[task][name], i) for i, _, f in self.frames if task in f]
            ranked = [i for _, i in sorted(scored, reverse=more_is_better)]
            half = min(count, len(ranked) // 2)  # no frame is both among the best and the worst
            if half:
                result[task] = (ranked[:half], ranked[: -half - 1 : -1])
        return result


def evaluate(
    predictor: Predictor,
    comparison: Comparison,
    protocol: Protocol,
    *,
    align: bool = False,
    limit: int | None = None,
    roll_frames: int = 0,
    show_progress: bool = True,
) -> Outcome:
    """Measure `predictor` on the frames of `comparison`.

    align: one median scale a frame before depth is measured. limit: measure at most this many
    frames, spread evenly. roll_frames: on this many, measure how predictions change as the panorama
    is rolled by 37 % of its width (no multiple of any stride). Frames that cannot be read are
    skipped and named; MtpanoError where none can.
    """
    evaluation = Evaluation(protocol, comparison.classes, align)
    outcome = Outcome(evaluation, {})
    groups: defaultdict[tuple[str, str], Evaluation] = defaultdict(
        lambda: Evaluation(protocol, comparison.classes, align)
    )
    indices = spread(len(comparison.frames), limit)
    rolled = set(np.take(indices, spread(len(indices), roll_frames)).tolist())
    rolls = []
    began = time.perf_counter()
    with progress_bar(disable=not show_progress) as bar:
        task = bar.add_task("evaluating", total=len(indices))
        for index in indices:
            bar.advance(task)
            try:
                sample = comparison.frames[index]
            except MtpanoError as error:
                outcome.skipped.append(str(error))
                logger.warning("skipped: %s", error)
                continue
            rgb, truth = ground_truth(sample)
            prediction = predict(predictor, comparison, rgb)
            surface = None
            if comparison.exact:
                surface = surface_of(prediction, truth, comparison.classes)
                for group in groups_of(comparison.frames, index, truth, comparison.classes).items():
                    groups[group].update(prediction, truth, surface)
            found = evaluation.update(prediction, truth, surface)
            outcome.frames.append((index, sample.name, found))
            if index in rolled:
                rolls.append(_roll_error(predictor, comparison, rgb, prediction))
    if not outcome.frames:
        raise MtpanoError(
            f"none of {len(indices)} frames could be read, the first because {outcome.skipped[0]}"
        )
    outcome.seconds_per_frame = (time.perf_counter() - began) / len(outcome.frames)
    outcome.metrics = _summary(evaluation)
    if any(rolls):
        outcome.metrics["seam"]["roll"] = mean_figures([found for found in rolls if found])
    if groups:
        outcome.metrics["groups"] = {
            family: {
                name: _summary(groups[family, name])
                for name in in_order(family, [n for f, n in groups if f == family])
            }
            for family in dict.fromkeys(family for family, _ in groups)
        }
    return outcome


def _summary(evaluation: Evaluation) -> dict[str, Any]:
    metrics = evaluation.summary()
    if "semseg" in metrics:
        metrics["classes"] = {
            "iou": evaluation.semseg.class_iou(),
            "share": evaluation.semseg.class_share(),
        }
    curves = evaluation.confidence.curves()
    if curves:
        metrics["sparsification"] = {"removed": POINTS} | {
            name: {"model": curve.model, "oracle": curve.oracle} for name, curve in curves.items()
        }
    return metrics


def ground_truth(sample: Sample) -> tuple[NDArray[np.uint8], Maps]:
    """RGB [H, W, 3] and the true maps of a sample."""
    return sample.rgb, Maps(
        depth=sample.depth[0].numpy(),
        normals=sample.normals.permute(1, 2, 0).numpy(),
        labels=sample.semseg.numpy().astype(np.uint8),
        depth_valid=sample.depth_valid[0].numpy(),
        normals_valid=sample.normals_valid[0].numpy(),
    )


def predict(predictor: Predictor, comparison: Comparison, rgb: NDArray[np.uint8]) -> Maps:
    """The model's maps at the picture's size, its labels in the common class set."""
    height, width, _ = rgb.shape
    maps = predictor(rgb, (height, width))
    if maps.labels is not None:
        maps.labels = comparison.translate(maps.labels)
    return maps


def _roll_error(
    predictor: Predictor, comparison: Comparison, rgb: NDArray[np.uint8], maps: Maps
) -> Figures:
    """`roll_error` of a picture whose maps are known; empty where the model lacks a task."""
    if maps.depth is None or maps.normals is None or maps.labels is None:
        return {}
    shift = round(_ROLL * rgb.shape[1])
    rolled: Any = predict(predictor, comparison, np.roll(rgb, shift, axis=1))
    after = rolled.depth, rolled.normals, rolled.labels
    return roll_error((maps.depth, maps.normals, maps.labels), after, shift)
