"""What TensorRT is given of the real network: acceptable, and the same answers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from operator_check import unsupported_operators
from stand_ins.install import install
from stand_ins.machine import Machine

from mtpano_model.inference import ValueRules, load_estimator

pytestmark = pytest.mark.slow  # the export takes its time
SIZE = (64, 128)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The nano network with random weights, its zero-initialised paths opened."""
    import torch

    from mtpano_model.export.onnx_graph import export_cpu_tail
    from mtpano_model.graph.save import save_model, store_weights_in_half
    from mtpano_model.network import PDBridgeNet
    from mtpano_model.network.config import preset

    torch.manual_seed(0)
    net = PDBridgeNet(preset("nano")).eval()
    for parameter in net.parameters():
        if parameter.ndim == 4 and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    exported = export_cpu_tail(net, SIZE)
    store_weights_in_half(exported)
    path = tmp_path_factory.mktemp("model") / "nano.onnx"
    save_model(exported, path)
    return path


def test_the_fp16_graph_is_taken_and_agrees(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = install(monkeypatch, Machine(tensorrt="11.4.1"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rgb = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    with load_estimator(model, backend="tensorrt") as estimator:
        found = estimator.predict(rgb, rules=ValueRules(depth_finish="off"))
    with load_estimator(model, backend="onnxruntime") as estimator:
        expected = estimator.predict(rgb, rules=ValueRules(depth_finish="off"))

    given = onnx.ModelProto.FromString(machine.last_build["onnx"])
    onnx.save(given, str(tmp_path / "given.onnx"))
    assert unsupported_operators(tmp_path / "given.onnx") == []
    kinds = Counter(t.data_type for t in given.graph.initializer if len(t.dims) == 4)
    assert kinds[onnx.TensorProto.FLOAT16] > 10 * kinds[onnx.TensorProto.FLOAT]

    np.testing.assert_allclose(found.depth, expected.depth, rtol=5e-3)
    cosines = (found.normals * expected.normals).sum(axis=-1)
    assert np.degrees(np.arccos(np.clip(np.nanmin(cosines), -1, 1))) < 0.5
    assert np.mean(found.labels != expected.labels) < 0.005
