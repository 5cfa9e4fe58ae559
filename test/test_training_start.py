"""The network that a run starts with: another run's, the authors', with other classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from box_rooms import box_data, quick_config
from networks import seeded, tiny

from mtpano_model.errors import MtpanoError
from mtpano_model.export.onnx_graph import CPUTailGraph
from mtpano_model.geometry.sphere import frame_matrix
from mtpano_model.network import PDBridgeNet, preset
from mtpano_model.network.config import DecoderConfig
from mtpano_model.network.pretrained import from_pretrained, save_pretrained
from mtpano_model.training.checkpoint import best_weights
from mtpano_model.training.config import Stage, TrainConfig
from mtpano_model.training.loop import train
from mtpano_model.training.starting_point import starting_network
from mtpano_model.training.validation import predicted_maps


def test_starting_from_a_run_keeps_its_weights_and_its_network(tmp_path: Path) -> None:
    train(quick_config(), box_data(), tmp_path)
    net = starting_network(TrainConfig(network=""), tmp_path)
    trained = from_pretrained(best_weights(tmp_path))
    assert net.config == replace(trained.config, image_size=(256, 512))  # of the last stage
    for name, tensor in trained.state_dict().items():
        assert torch.equal(net.state_dict()[name], tensor)


def test_other_classes_start_afresh_and_nothing_else(tmp_path: Path) -> None:
    train(quick_config(), box_data(), tmp_path)
    trained = from_pretrained(best_weights(tmp_path)).state_dict()
    net = starting_network(TrainConfig(network="", class_set="nyu40"), tmp_path)
    assert net.config.num_classes == 40
    changed = {n for n, t in net.state_dict().items() if t.shape != trained[n].shape}
    assert changed
    assert all(".semseg." in name for name in changed)
    same = [torch.equal(t, trained[n]) for n, t in net.state_dict().items() if n not in changed]
    assert all(same)


def test_a_changed_network_takes_what_fits_only_if_told(tmp_path: Path) -> None:
    torch.manual_seed(1)
    before = PDBridgeNet(preset("nano", decoder=DecoderConfig("light", widths=(24, 24, 16, 8))))
    save_pretrained(before, tmp_path / "before.safetensors")
    config = TrainConfig(network="nano")
    with pytest.raises(MtpanoError, match="nothing was loaded"):
        starting_network(config, tmp_path / "before.safetensors")
    net = starting_network(replace(config, init_partly=True), tmp_path / "before.safetensors")
    assert net.config == preset("nano", image_size=(256, 512))
    old, new = before.state_dict(), net.state_dict()
    assert torch.equal(new["backbone.stages.0.0.0.weight"], old["backbone.stages.0.0.0.weight"])
    afresh = {name for name in new if new[name].shape != old[name].shape}
    assert all(name.startswith(("decoders.", "laterals.")) for name in afresh)
    assert all(torch.equal(new[name], old[name]) for name in new if name not in afresh)


def test_without_a_network_an_init_is_asked_for() -> None:
    with pytest.raises(MtpanoError, match="give one with --init"):
        starting_network(TrainConfig(network=""), None)


@torch.no_grad()
def test_a_released_network_goes_on_in_the_frame_of_the_labels(tmp_path: Path) -> None:
    """Else training would teach optical normals, and export turn them once more."""
    released = seeded(tiny("released"))
    save_pretrained(released, tmp_path / "released")
    config = TrainConfig(network="", stages=(Stage(64, 128, 1, 1),))
    net = starting_network(config, tmp_path / "released.safetensors").eval()
    picture = torch.randint(0, 256, (1, 64, 128, 3), dtype=torch.uint8)
    image = picture.permute(0, 3, 1, 2).float()
    before, after = released(image), net(image)
    for kind, task, frame in (
        ("final", "normals", "released_normals"),
        ("initial", "normals", "released_normals"),
        ("auxiliary", "point", "released_points"),
    ):
        turn = torch.from_numpy(frame_matrix(frame, "optical")).float()
        expected = torch.einsum("ij,bjhw->bihw", turn, getattr(before, kind)[task])
        torch.testing.assert_close(getattr(after, kind)[task], expected)
    exported = {len(map_[0]): map_ for map_ in CPUTailGraph(net)(picture)}[3]
    validated = predicted_maps(net, image.byte(), "cpu")[0].normals
    np.testing.assert_allclose(exported[0].permute(1, 2, 0), validated, atol=1e-5)


def test_a_checkpoint_tells_the_size_that_was_trained_last(tmp_path: Path) -> None:
    save_pretrained(PDBridgeNet(tiny("released")), tmp_path / "released")  # stores maps of 64x128
    stages = (Stage(64, 128, 1, 1), Stage(96, 192, 1, 1))
    config = TrainConfig(network="", stages=stages)
    net = starting_network(config, tmp_path / "released.safetensors")
    assert net.config.image_size == (96, 192)
    assert net.ray.shape[-2:] == (6, 12)
    for stages in ((Stage(100, 200, 1, 1), Stage(64, 128, 1, 1)), (Stage(144, 288, 1, 1),)):
        with pytest.raises(MtpanoError, match="both multiples of 32"):
            starting_network(TrainConfig(network="nano", stages=stages), None)
