"""Teachers from our own checkpoints and exported models."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fake_model import write_fake_model
from networks import seeded, tiny

from mtpano_model import inference
from mtpano_model.classes import load_class_set
from mtpano_model.data.panorama import Panorama
from mtpano_model.errors import MtpanoError
from mtpano_model.inference import load_estimator
from mtpano_model.inference.postprocess import Postprocessor
from mtpano_model.labels.teacher import PanoramaTeacher
from mtpano_model.labels.teachers import open_teacher


@pytest.fixture
def checkpoint(tmp_path):
    """A folder with a tiny network's checkpoint and its export."""
    from mtpano_model.export.onnx_graph import export_cpu_tail
    from mtpano_model.graph.save import save_model
    from mtpano_model.network.pretrained import save_pretrained

    net = seeded(tiny("nano", image_size=(64, 128)))
    save_pretrained(net, tmp_path / "model")
    save_model(export_cpu_tail(net), tmp_path / "model.onnx")
    return tmp_path


def _noise(size):
    return np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)


@torch.inference_mode()
def test_a_checkpoint_teaches_what_its_export_does(checkpoint):
    """A robot resizes, closes the seam and follows the rules of special values; so do both."""
    pytest.importorskip("onnxscript")
    for size in ((64, 128), (100, 200)):  # one that is resized, too
        panorama = Panorama("x", _noise(size))
        first, second = (
            open_teacher(f"pd-bridgenet:{checkpoint / name}", "indoor18").label_panorama(
                panorama, (32, 64)
            )
            for name in ("model.safetensors", "model.onnx")
        )
        assert first.depth.shape == (1, 1, 32, 64)
        torch.testing.assert_close(first.depth, second.depth, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(first.normals, second.normals, atol=1e-3, rtol=1e-3)
        assert (first.classes == second.classes).float().mean() > 0.99
        torch.testing.assert_close(first.confidence, second.confidence, atol=1e-3, rtol=1e-3)
        assert 0 < first.confidence.min() < first.confidence.max() <= 1


@pytest.mark.parametrize("name", ["model.safetensors", "model.onnx"])
@torch.inference_mode()
def test_a_teacher_knows_no_metres_of_the_sky(checkpoint, name):
    from dataclasses import replace

    from mtpano_model.labels.teacher import known_depth

    teacher = open_teacher(f"pd-bridgenet:{checkpoint / name}", "indoor18")
    info = teacher._estimator.info
    everything = replace(info.classes, open=(True,) * len(info.classes))
    teacher._estimator._postprocess = Postprocessor(replace(info, classes=everything))
    labels = teacher.label_panorama(Panorama("x", _noise((64, 128))), (64, 128))
    assert not known_depth(labels.depth).any()
    assert labels.normals.isnan().all()
    assert (labels.classes != 255).all(), "its classes are known all the same"


@torch.inference_mode()
def test_a_checkpoint_of_one_task_teaches_that_one(tmp_path):
    from mtpano_model.network.pretrained import save_pretrained

    net = seeded(tiny("nano", tasks=("normals",), auxiliary=False))
    save_pretrained(net, tmp_path / "model")
    teacher = open_teacher(f"pd-bridgenet:{tmp_path / 'model.safetensors'}", "indoor18")
    assert isinstance(teacher, PanoramaTeacher)
    assert teacher.tasks == ("normals",)
    labels = teacher.label_panorama(Panorama("x", _noise((64, 128))), (64, 128))
    assert labels.depth is labels.classes is labels.confidence is None
    torch.testing.assert_close(labels.normals.norm(dim=1), torch.ones(1, 64, 128))


def test_an_exported_model_teaches_what_it_predicts(tmp_path):
    model = write_fake_model(tmp_path / "model.onnx", size=(64, 128))
    teacher = open_teacher(f"pd-bridgenet:{model}", "indoor18")
    color = load_class_set("indoor18").palette[4]
    image = np.tile(np.array(color, np.uint8), (64, 128, 1))
    labels = teacher.label_panorama(Panorama("x", image), (64, 128))
    assert (labels.classes == 4).all()
    torch.testing.assert_close(
        labels.depth, torch.full((1, 1, 64, 128), 1 + color[0] / 64), atol=1e-3, rtol=0
    )
    with pytest.raises(MtpanoError, match="cannot be turned into 'nyu40'"):
        open_teacher(f"pd-bridgenet:{model}", "nyu40")


@pytest.mark.parametrize(("asked", "given"), [("auto", "auto"), ("cpu", "cpu")])
def test_an_exported_model_has_the_engines_devices_not_torchs(tmp_path, monkeypatch, asked, given):
    model = write_fake_model(tmp_path / "model.onnx")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # which the engine may not share
    devices = []
    monkeypatch.setattr(
        inference,
        "load_estimator",
        lambda model, device: devices.append(device) or load_estimator(model),
    )
    open_teacher(f"pd-bridgenet:{model}", "indoor18", asked)
    assert devices == [given]
    with pytest.raises(MtpanoError, match="does not run on device 'cuda:0'"):
        load_estimator(model, device="cuda:0")
