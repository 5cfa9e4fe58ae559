"""Weights of Depth Anything V2 and DA360 as a start for `base`, on files of their layout."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F

from mtpano_model.commands import main
from mtpano_model.errors import MtpanoError
from mtpano_model.network import preset
from mtpano_model.network.backbones.build import build_backbone
from mtpano_model.network.foreign.depth_anything import load_depth_anything_encoder, resized_kernel
from mtpano_model.network.foreign.files import read_state
from mtpano_model.network.pretrained import from_pretrained

WIDTH, DEPTH, MLP = 384, 12, 1536


def encoder(prefix: str = "pretrained.", width: int = WIDTH, depth: int = DEPTH):
    """Random tensors under the names and in the shapes of Depth Anything V2's ViT-S/14."""
    generator = torch.Generator().manual_seed(0)

    def tensor(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.02

    state = {
        "cls_token": tensor(1, 1, width), "pos_embed": tensor(1, 1 + 37 * 37, width),
        "mask_token": tensor(1, width), "patch_embed.proj.weight": tensor(width, 3, 14, 14),
        "patch_embed.proj.bias": tensor(width),
        "norm.weight": 1 + tensor(width), "norm.bias": tensor(width),
    }  # fmt: skip
    for n in range(depth):
        block = {
            "norm1.weight": 1 + tensor(width), "norm1.bias": tensor(width),
            "norm2.weight": 1 + tensor(width), "norm2.bias": tensor(width),
            "attn.qkv.weight": tensor(3 * width, width), "attn.qkv.bias": tensor(3 * width),
            "attn.proj.weight": tensor(width, width), "attn.proj.bias": tensor(width),
            "mlp.fc1.weight": tensor(4 * width, width), "mlp.fc1.bias": tensor(4 * width),
            "mlp.fc2.weight": tensor(width, 4 * width), "mlp.fc2.bias": tensor(width),
            "ls1.gamma": 1 + tensor(width), "ls2.gamma": 1 + tensor(width),
        }  # fmt: skip
        state |= {f"blocks.{n}.{name}": value for name, value in block.items()}
    head = {"depth_head.scratch.output_conv1.weight": tensor(4, 4, 3, 3)}
    return {prefix + name: value for name, value in state.items()} | head


def dinov2_block(state, n: int, x: torch.Tensor, heads: int = 6) -> torch.Tensor:
    """One block of DINOv2 written out: [B, T, C] -> [B, T, C], places left aside."""
    at = f"pretrained.blocks.{n}."
    b, t, c = x.shape
    h = F.layer_norm(x, (c,), state[at + "norm1.weight"], state[at + "norm1.bias"])
    qkv = h @ state[at + "attn.qkv.weight"].T + state[at + "attn.qkv.bias"]
    q, k, v = qkv.reshape(b, t, 3, heads, c // heads).permute(2, 0, 3, 1, 4)
    mixed = ((q @ k.mT / (c // heads) ** 0.5).softmax(-1) @ v).transpose(1, 2).reshape(b, t, c)
    mixed = mixed @ state[at + "attn.proj.weight"].T + state[at + "attn.proj.bias"]
    x = x + state[at + "ls1.gamma"] * mixed
    h = F.layer_norm(x, (c,), state[at + "norm2.weight"], state[at + "norm2.bias"])
    h = F.gelu(h @ state[at + "mlp.fc1.weight"].T + state[at + "mlp.fc1.bias"])
    h = h @ state[at + "mlp.fc2.weight"].T + state[at + "mlp.fc2.bias"]
    return x + state[at + "ls2.gamma"] * h


@torch.inference_mode()
def test_each_block_computes_what_dinov2_s_does_where_places_turn_nothing():
    backbone = build_backbone(preset("base"))
    state = encoder()
    load_depth_anything_encoder(backbone, state, "x.pth")
    x = torch.randn(2, 9, WIDTH)
    still = (torch.ones(1, 1, WIDTH // 6), torch.zeros(1, 1, WIDTH // 6))  # cosine, sine of no turn
    for n in (0, 7, 11):
        out = backbone.blocks[n](x, position_embeddings=still)
        out = out[0] if isinstance(out, tuple) else out
        torch.testing.assert_close(out, dinov2_block(state, n, x), atol=2e-4, rtol=1e-3)


def test_a_wider_patch_kernel_answers_to_an_enlarged_patch_as_the_old_one_did():
    kernel, patches = torch.randn(8, 3, 14, 14), torch.rand(5, 3, 14, 14)
    larger = F.interpolate(patches, (16, 16), mode="bilinear", align_corners=False)
    expected = F.conv2d(patches, kernel)
    answer = F.conv2d(larger, resized_kernel(kernel, 16))
    torch.testing.assert_close(answer, expected, atol=1e-3, rtol=1e-3)
    assert resized_kernel(kernel, 14) is kernel


@pytest.mark.parametrize(
    ("kind", "prefix", "license"),
    [
        ("depth-anything-v2", "pretrained.", "Apache-2.0"),
        ("da360", "module.depth_anything.pretrained.", "MIT"),
    ],
)
def test_a_checkpoint_becomes_a_start_for_base(tmp_path, kind, prefix, license, capsys):
    torch.save({**encoder(prefix), "height": 518, "net": "DA360"}, tmp_path / "small.pth")
    out = tmp_path / "base.safetensors"
    assert main(["convert-weights", kind, str(tmp_path / "small.pth"), "--out", str(out)]) == 0
    assert "M parameters" in capsys.readouterr().out
    net = from_pretrained(out)
    assert net.config.name == "base"
    facts = json.loads(out.with_suffix(".json").read_text())["extra"]
    assert facts["license"] == license
    assert "small.pth" in facts["trained_on"]
    state = encoder()
    key = net.backbone.blocks[3].state_dict()["attention.k_proj.weight"]
    torch.testing.assert_close(key, state["pretrained.blocks.3.attn.qkv.weight"][WIDTH : 2 * WIDTH])
    places = state["pretrained.pos_embed"]
    embeddings = net.backbone.model.embeddings.state_dict()
    torch.testing.assert_close(
        embeddings["cls_token"], state["pretrained.cls_token"] + places[:, :1]
    )
    torch.testing.assert_close(
        embeddings["patch_embeddings.bias"],
        state["pretrained.patch_embed.proj.bias"] + places[0, 1:].mean(0),
    )


def test_dap_s_pickle_becomes_the_same_tensors_in_safetensors(tmp_path):
    torch.save({"module.core.weight": torch.arange(6.0).reshape(2, 3)}, tmp_path / "model.pth")
    out = tmp_path / "dap.safetensors"
    assert main(["convert-weights", "dap", str(tmp_path / "model.pth"), "--out", str(out)]) == 0
    assert read_state(out)["core.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("command", "name", "content", "message"),
    [
        (["convert-weights", "dap"], "other.pth", {"x": torch.zeros(2)}, "has no tensor 'module."),
        (["convert-released"], "cut.safetensors", b"nothing", "is truncated or not a PyTorch"),
        (["convert-released"], "list.pth", [1], "has no dictionary of tensors under the key"),
    ],
)
def test_the_wrong_file_is_one_sentence_and_nothing_is_written(
    tmp_path, capsys, command, name, content, message
):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        torch.save(content, tmp_path / name)
    out = tmp_path / "out.safetensors"
    assert main([*command, str(tmp_path / name), "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "fault of mtpano" not in error
    assert not out.exists()


def test_a_checkpoint_in_torch_s_older_format_is_read(tmp_path):
    torch.save({"x": torch.ones(2)}, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    assert read_state(tmp_path / "x.pth")["x"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (encoder(width=768, depth=1), "an encoder of 1 blocks of width 768: expected ViT-S, 12 of"),
        ({k: v for k, v in encoder().items() if "ls1" not in k}, "lacks the tensor 'blocks.0.ls1"),
        ({"x": torch.zeros(1)}, "lacks the tensor 'patch_embed.proj.weight'"),
    ],
)
def test_other_networks_weights_are_one_sentence(state, message):
    with pytest.raises(MtpanoError, match=message):
        load_depth_anything_encoder(build_backbone(preset("base")), state, "x.pth")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.pth", None, "does not exist"),
        ("x.pth", b"", "truncated or not a PyTorch checkpoint"),
        ("x.safetensors", b"nothing", "cannot be read"),
        ("list.pth", [1], "has no tensors by name"),
        ("code.pth", {"a": print}, "holds more than tensors, and was not opened"),
        ("text.pth", b"<html>", "not a checkpoint of PyTorch"),
    ],
)
def test_damaged_files_are_one_sentence_and_nothing_is_run(tmp_path, name, content, message):
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        torch.save(content, tmp_path / name)
    with pytest.raises(MtpanoError, match=message):
        read_state(tmp_path / name)
