"""Outputs that a network might give, and both ways from them to a frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_model import default_classes, write_fake_model

from mtpano_model.geometry.sphere import rays
from mtpano_model.graph.model_info import read_model_info
from mtpano_model.inference import ModelInfo, ValueRules
from mtpano_model.inference.postprocess import Postprocessor

LOW, SIZE = (32, 64), (64, 128)


@pytest.fixture(scope="module", params=["plain", "compiled"])
def postprocess(request):
    """Both ways to a frame: numpy and OpenCV, and numba's loops where it is installed.

    Depth is not finished, since that is tested in test_inference_depth_finish.py.
    """
    if request.param == "compiled":
        pytest.importorskip("numba", reason="numba is not installed: pip install numba")
    compiled = request.param == "compiled"

    def process(given, info, size, rules=None, *rest, **named):
        rules = replace(rules or ValueRules(), depth_finish="off")
        return Postprocessor(info, compiled)(given, size, rules, *rest, **named)

    return process


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory) -> ModelInfo:
    """Model with classes 0..17, of which 3 is made open (sky)."""
    table = default_classes()
    table[3]["open"] = True
    return read_model_info(write_fake_model(tmp_path_factory.mktemp("m") / "m.onnx", classes=table))


def outputs(seed: int = 0, classes: int = 18) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((1, classes, *LOW), np.float32)
    logits[:, 3] = -9.0  # nothing is open unless a test says so
    return {
        "depth": rng.uniform(1, 5, (1, 1, *LOW)).astype(np.float32),
        "normals": -np.moveaxis(rays(*LOW), -1, 0)[None].copy(),
        "semseg": logits,
    }
