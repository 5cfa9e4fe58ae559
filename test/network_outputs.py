"""Outputs that a network might give."""

from __future__ import annotations

import numpy as np

from mtpano_model.geometry.sphere import rays

LOW, SIZE = (32, 64), (64, 128)


def outputs(seed: int = 0, classes: int = 18) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((1, classes, *LOW), np.float32)
    logits[:, 3] = -9.0  # nothing is open unless a test says so
    return {
        "depth": rng.uniform(1, 5, (1, 1, *LOW)).astype(np.float32),
        "normals": -np.moveaxis(rays(*LOW), -1, 0)[None].copy(),
        "semseg": logits,
    }
