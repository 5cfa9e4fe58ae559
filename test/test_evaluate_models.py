"""Models under evaluation: checkpoints and their exports are opened and predict the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_cases import SIZE, evaluate_with, write_known_rooms
from fake_model import write_fake_model

from mtpano_model.errors import MtpanoError
from mtpano_model.evaluation.predictor import NetworkPredictor, OnnxPredictor, open_predictor
from mtpano_model.inference import ValueRules
from mtpano_model.inference.preprocess import preprocess
from mtpano_model.metrics.normals import angles_deg
from mtpano_model.network import PDBridgeNet, preset
from mtpano_model.network.pretrained import save_pretrained


@pytest.fixture
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx", SIZE)


def test_a_checkpoint_predicts_what_its_network_says() -> None:
    """Full-size maps of the network and the robot's tail agree inside the picture."""
    torch.manual_seed(0)
    net = PDBridgeNet(preset("nano", image_size=SIZE)).eval()
    rgb = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    maps = NetworkPredictor(net, rules=ValueRules(depth_finish="off"))(rgb, SIZE)
    with torch.inference_mode():
        final = net(torch.from_numpy(preprocess(rgb, SIZE)).permute(0, 3, 1, 2).float()).final
    assert maps.depth is not None
    assert maps.normals is not None
    assert maps.labels is not None
    inner = slice(4, -4)
    depth = final["depth"][0, 0].numpy()
    np.testing.assert_allclose(maps.depth[inner], depth[inner], rtol=1e-4)
    angles = angles_deg(maps.normals, final["normals"][0].permute(1, 2, 0).numpy())
    assert angles[inner].mean() < 5  # one normalises before it resizes, the other after
    assert (maps.labels == final["semseg"][0].argmax(0).numpy()).mean() > 0.9


@pytest.mark.slow
def test_a_checkpoint_and_its_export_have_the_same_figures(tmp_path: Path) -> None:
    """The tail of the torch predictor is that of the robot's model."""
    onnx_graph = pytest.importorskip("mtpano_model.export.onnx_graph")
    import onnx

    net = PDBridgeNet(preset("nano", image_size=SIZE)).eval()
    save_pretrained(net, tmp_path / "net")
    onnx.save(onnx_graph.export_cpu_tail(net), tmp_path / "net.onnx")
    rooms = write_known_rooms(tmp_path / "rooms")
    few = {"limit": 2, "pictures": 0, "roll_frames": 1}
    torch_run = evaluate_with(rooms, tmp_path / "net.safetensors", tmp_path / "a", **few)
    onnx_run = evaluate_with(rooms, tmp_path / "net.onnx", tmp_path / "b", **few)
    assert torch_run["about"]["engine"].startswith("torch")
    for task in ("depth", "normals"):
        assert torch_run[task] == pytest.approx(onnx_run[task], rel=2e-3, abs=1e-4)
    accuracy = [r["semseg"]["pixel_accuracy"] for r in (torch_run, onnx_run)]
    assert accuracy[0] == pytest.approx(accuracy[1], abs=2e-3)
    assert torch_run["seam"]["roll"].keys() == {"depth_rel", "normals_deg", "labels"}


def test_models_open_by_what_they_are(model: Path, tmp_path: Path) -> None:
    net = PDBridgeNet(preset("nano", image_size=SIZE, tasks=("depth",), auxiliary=False))
    save_pretrained(net, tmp_path / "net")
    assert isinstance(open_predictor(str(model)), OnnxPredictor)
    predictor = open_predictor(str(tmp_path / "net.safetensors"), size=(32, 64))
    assert isinstance(predictor, NetworkPredictor)
    maps = predictor(np.zeros((*SIZE, 3), np.uint8), SIZE)
    assert maps.depth is not None
    assert maps.depth.shape == SIZE
    assert maps.normals is None
    assert maps.labels is None
    with pytest.raises(MtpanoError, match=r"holds no checkpoint"):
        open_predictor(str(model.parent))
    with pytest.raises(MtpanoError, match=r"picture size 60x120 does not fit"):
        open_predictor(str(tmp_path / "net.safetensors"), size=(60, 120))
