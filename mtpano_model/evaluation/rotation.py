"""How rotations of the camera change a model's figures, by roll angle and by pitch.

Rolling about the vertical axis loses nothing: columns move. Pitching re-samples the sphere, so
figures at 0 degrees are those of the untouched frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mtpano_model.data.augment import roll_yaw, rotate
from mtpano_model.data.sample import Sample, spread
from mtpano_model.evaluation.data_sets import Comparison
from mtpano_model.evaluation.predictor import Predictor
from mtpano_model.evaluation.runner import ground_truth, predict
from mtpano_model.geometry.sphere import pitch_matrix
from mtpano_model.metrics.evaluation import Evaluation
from mtpano_model.metrics.protocols import Protocol
from mtpano_model.progress_bar import progress_bar

Figures = dict[str, dict[str, float]]

# What the study follows: task and figure.
FOLLOWED = (
    ("depth", "abs_rel"),
    ("depth", "delta1"),
    ("depth", "rmse"),
    ("normals", "mean_deg"),
    ("normals", "within_11_25"),
    ("semseg", "miou"),
    ("semseg", "pixel_accuracy"),
)


@dataclass(frozen=True)
class Turned:
    """Pooled figures at each angle (degrees)."""

    degrees: tuple[float, ...]
    figures: tuple[Figures, ...]

    def series(self, task: str, name: str) -> list[float]:
        """One figure at every angle; empty where the model lacks the task."""
        return [f[task][name] for f in self.figures if task in f]

    def spreads(self) -> dict[str, dict[str, float]]:
        """mean, standard deviation and spread of each followed figure, by "task.figure".

        spread: the largest deviation from the mean, relative to the mean.
        """
        result = {}
        for task, name in FOLLOWED:
            values = np.array(self.series(task, name))
            if len(values):
                mean = float(values.mean())
                result[f"{task}.{name}"] = {
                    "mean": mean,
                    "std": float(values.std()),
                    "spread": float(np.abs(values - mean).max() / mean) if mean else 0.0,
                }
        return result

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "degrees": list(self.degrees),
            "figures": list(self.figures),
            "spreads": self.spreads(),
        }


def turn_study(
    predictor: Predictor,
    comparison: Comparison,
    protocol: Protocol,
    *,
    rolls: int = 12,
    pitches: Sequence[float] = (-10, -5, -2.5, 0, 2.5, 5, 10),
    limit: int | None = None,
    show_progress: bool = True,
) -> tuple[Turned, Turned]:
    """Figures at `rolls` even steps through 360 degrees, and at `pitches` (degrees, up positive).

    Every frame is read once and turned; image, depth, classes and normals turn together. Roll
    steps are rounded to whole columns, so no pixel is interpolated. limit: at most this many
    frames, spread evenly.
    """
    indices = spread(len(comparison.frames), limit)
    first = comparison.frames[indices[0]]
    width = first.size[1]
    shifts = [round(width * step / rolls) for step in range(rolls)]
    turns: list[Callable[[Sample], Sample]] = [
        *(partial(roll_yaw, shift=shift) for shift in shifts),
        *(partial(_pitched, degrees=pitch) for pitch in pitches),
    ]
    evaluations = [Evaluation(protocol, comparison.classes) for _ in turns]
    with progress_bar(disable=not show_progress) as bar:
        task = bar.add_task("turning", total=len(indices) * len(turns))
        for index in indices:
            sample = comparison.frames[index]
            for turn, evaluation in zip(turns, evaluations, strict=True):
                rgb, truth = ground_truth(turn(sample))
                evaluation.update(predict(predictor, comparison, rgb), truth)
                bar.advance(task)
    tasks = ("depth", "normals", "semseg")
    summaries = [evaluation.summary() for evaluation in evaluations]
    figures = [{task: s[task] for task in tasks if task in s} for s in summaries]
    angles = tuple(360.0 * shift / width for shift in shifts)
    rolled = Turned(angles, tuple(figures[:rolls]))
    return rolled, Turned(tuple(map(float, pitches)), tuple(figures[rolls:]))


def _pitched(sample: Sample, degrees: float) -> Sample:
    return sample if degrees == 0 else rotate(sample, pitch_matrix(np.radians(degrees)))
