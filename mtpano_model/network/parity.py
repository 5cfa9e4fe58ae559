"""Compares our network with stored weights and outputs of the released architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.network.config import BackboneConfig, DecoderConfig, PDBridgeNetConfig, preset
from mtpano_model.network.foreign.released import load_released
from mtpano_model.network.pd_bridgenet import PDBridgeNet
from mtpano_model.network.pretrained import read_tensors
from mtpano_model.stored_files import read_json

TOLERANCE = 2e-5
_FILES = ("config.json", "weights.safetensors", "io.safetensors")
_RELEASED_TASK = {"edf": "sdf"}


def is_network_fixture(folder: Path) -> bool:
    """Whether a folder holds the files of a reference fixture, which `compare` needs."""
    return all((folder / name).is_file() for name in _FILES)


def read_fixture_config(file: Path) -> PDBridgeNetConfig:
    """The `released` preset at the size that a fixture's config.json states."""
    try:
        return _config(read_json(file, "copy it again"))
    except (ValueError, KeyError, TypeError) as error:
        raise MtpanoError(
            f"{file} cannot be read as a reference fixture's config.json "
            f"({one_line(error)}): copy it again"
        ) from error


def _config(facts: dict[str, Any]) -> PDBridgeNetConfig:
    return preset(
        "released",
        name="released-fixture",
        backbone=BackboneConfig(
            "dinov3_vit",
            hidden_size=facts["hidden_size"],
            layers=facts["num_hidden_layers"],
            heads=facts["num_attention_heads"],
            mlp_size=facts["intermediate_size"],
            registers=facts["num_register_tokens"],
            patch_size=facts["patch_size"],
            tap_layers=tuple(facts["tap_layers"]),
        ),
        decoder=DecoderConfig(
            "dpt", tuple(facts["neck_hidden_sizes"]), fusion=facts["fusion_hidden_size"]
        ),
        token_dim=facts["hidden_size"],
        token_stride=facts["patch_size"],
        bridge_dim=facts["bridge_dim"],
        image_size=tuple(facts["image_size"]),
        num_classes=facts["num_classes"],
    )


def load_fixture(folder: str | Path) -> tuple[PDBridgeNet, dict[str, Tensor]]:
    """The fixture's network in evaluation mode, and its stored input and outputs (float32)."""
    folder = Path(folder)
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise MtpanoError(
            f"{folder} is not a reference fixture: {missing[0]} is missing, expected "
            f"{', '.join(_FILES)}"
        )
    net = PDBridgeNet(read_fixture_config(folder / "config.json"))
    load_released(net, read_tensors(folder / "weights.safetensors"), str(folder))
    stored = read_tensors(folder / "io.safetensors")
    return net.eval(), {name: tensor.float() for name, tensor in stored.items()}


@torch.inference_mode()
def compare(folder: str | Path) -> dict[str, float]:
    """Largest absolute difference of every stored output, by its name (`final.depth`, ...).

    The fixture may have outputs of only the first panoramas of its `input`.
    """
    net, stored = load_fixture(folder)
    out = net.predict(stored["input"])
    differences = {}
    for kind in ("final", "initial", "auxiliary"):
        for task, map_ in getattr(out, kind).items():
            name = f"{kind}.{_RELEASED_TASK.get(task, task)}"
            theirs = stored[name]
            differences[name] = (map_[: len(theirs)] - theirs).abs().max().item()
    return differences
