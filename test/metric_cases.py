"""Random predictions and truth for tests of the metrics, and a protocol without conventions."""

from __future__ import annotations

import numpy as np

from mtpano_model.classes import ClassSet
from mtpano_model.geometry.sphere import solid_angles
from mtpano_model.metrics.protocols import Protocol

SIZE = (16, 32)
AREAS = solid_angles(*SIZE)
PLAIN = Protocol("plain")
RNG = np.random.default_rng(3)


def some_classes(count: int) -> ClassSet:
    names = tuple(f"class {i}" for i in range(count))
    return ClassSet("test", names, ((0, 0, 0),) * count, (False,) * count, (None,) * count)


def some_depth(frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth = RNG.uniform(0.5, 12, (frames, *SIZE))
    prediction = truth * RNG.uniform(0.6, 1.6, truth.shape)
    return prediction, truth, RNG.random(truth.shape) < 0.8


def some_normals(frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth = RNG.normal(size=(frames, *SIZE, 3))
    truth /= np.linalg.norm(truth, axis=-1, keepdims=True)
    prediction = 1.7 * truth + RNG.normal(0, 0.4, truth.shape)
    return prediction, truth, RNG.random((frames, *SIZE)) < 0.8
