"""Models at evaluation: a checkpoint's values obey the robot's rules, and flags must apply."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from networks import seeded, tiny

from mtpano_model.classes import load_class_set
from mtpano_model.errors import MtpanoError
from mtpano_model.evaluation.predictor import NetworkPredictor, open_predictor
from mtpano_model.inference import ValueRules
from mtpano_model.network.pretrained import save_pretrained

SIZE = (64, 128)


Decoded = tuple[torch.Tensor, torch.Tensor]  # the map, and what it was made of


def test_a_checkpoint_sees_no_surface_where_a_robot_sees_none() -> None:
    """The sky is open and a depth of 0 is none, as in the exported model's frames."""
    classes = load_class_set("ade20k32")
    sky, ground = classes.names.index("sky"), classes.names.index("floor")
    config = tiny("nano", class_set="ade20k32", num_classes=len(classes), depth_activation="relu")
    net = seeded(config)

    def say(depth: float, upper: int, lower: int) -> None:
        def logits(_module: object, _inputs: object, decoded: Decoded) -> Decoded:
            maps = torch.zeros_like(decoded[0])
            half = maps.shape[-2] // 2
            maps[:, upper, :half] = maps[:, lower, half:] = 1
            return maps, decoded[1]

        net.decoders["semseg"].register_forward_hook(logits)
        net.decoders["depth"].register_forward_hook(
            lambda *x: (torch.full_like(x[-1][0], depth), x[-1][1])
        )

    picture = np.zeros((*SIZE, 3), np.uint8)
    say(2.0, sky, ground)
    # Its normals are random, and would bend the depth.
    predictor = NetworkPredictor(net, rules=ValueRules(depth_finish="off"))
    maps = predictor(picture, SIZE)
    assert np.isposinf(maps.depth[:31]).all()
    assert np.isnan(maps.normals[:31]).all()
    np.testing.assert_allclose(maps.depth[33:], 2, rtol=1e-5)
    assert np.isfinite(maps.normals[33:]).all()
    say(0.0, ground, ground)
    assert np.isnan(predictor(picture, SIZE).depth).all()


def test_flags_of_the_other_kind_of_model_are_refused(tmp_path: Path) -> None:
    save_pretrained(seeded(tiny("nano")), tmp_path / "net")
    checkpoint = str(tmp_path / "net.safetensors")
    for flags in ({"backend": "openvino"}, {"precision": "fp16"}):
        with pytest.raises(MtpanoError, match=r"is a checkpoint.*leave --backend"):
            open_predictor(checkpoint, **flags)
    with pytest.raises(MtpanoError, match=r"default is an ONNX model.*leave --network-size"):
        open_predictor("default", size=(64, 128))


def test_a_checkpoint_runs_on_the_device_that_was_asked_for(tmp_path: Path, monkeypatch) -> None:
    save_pretrained(seeded(tiny("nano")), tmp_path / "net")
    checkpoint = str(tmp_path / "net.safetensors")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert open_predictor(checkpoint, device="auto").about["engine"].endswith("fp32 on cpu")
    for device in ("cuda", "gpu"):
        with pytest.raises(MtpanoError, match=f"'{device}' is not here: expected auto, cpu"):
            open_predictor(checkpoint, device=device)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with monkeypatch.context() as context:  # "meta" stands for the GPU: values have no place there
        context.setattr("mtpano_model.evaluation.predictor.torch_device", lambda wanted: "meta")
        net = open_predictor(checkpoint, device="cuda").net  # type: ignore[attr-defined]
    assert {x.device.type for x in net.parameters()} == {"meta"}
