"""Checkpoints of PD-BridgeNet: a safetensors file and, beside it, the configuration as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mtpano_model.errors import MtpanoError
from mtpano_model.network.config import PDBridgeNetConfig
from mtpano_model.network.pd_bridgenet import PDBridgeNet
from mtpano_model.stored_files import read_json

FORMAT = 1
UNKNOWN_ORIGIN = {"license": "unknown", "trained_on": "unknown"}  # of weights that do not say
DEFAULT_CHECKPOINT = Path(__file__).parents[1] / "weights" / "default.safetensors"
# DINOv3's blocks, which transformers 5 keeps one level deeper than 4.56
_BLOCKS = re.compile(r"^backbone\.model\.(?:model\.)?(?=(?:layer|stages)\.)")


def save_pretrained(
    net: PDBridgeNet,
    path: str | Path,
    *,
    half: bool = False,
    extra: dict[str, Any] | None = None,
    state: dict[str, Tensor] | None = None,
) -> None:
    """Write PATH.safetensors and PATH.json (suffixes are set for you).

    half: store floating tensors as float16, half the size; they load back as float32.
    extra: JSON-able facts to keep beside the configuration (license and trained_on, which an
        export repeats; steps, metrics).
    state: weights to write instead of the network's own, e.g. their moving average.
    """
    path = Path(path)
    tensors = {}
    for name, tensor in (state or net.state_dict()).items():
        tensor = tensor.detach().cpu().contiguous()
        tensors[name] = tensor.half() if half and tensor.dtype == torch.float32 else tensor
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path.with_suffix(".safetensors"))
    facts = {"format": FORMAT, "config": net.config.to_dict(), "extra": extra or {}}
    path.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def read_facts(path: str | Path) -> dict[str, Any]:
    """The JSON beside a checkpoint: format, config, extra; MtpanoError if it does not fit."""
    file = Path(path).with_suffix(".json")
    if not file.exists():
        raise MtpanoError(
            f"{file} is missing: copy the configuration that `mtpano train` or `mtpano "
            "convert-released` wrote beside the checkpoint"
        )
    remedy = "expected the JSON that `mtpano train` writes"
    facts = read_json(file, remedy)
    kinds = {key: type(facts.get(key)) for key in ("format", "config", "extra")}
    if kinds != {"format": int, "config": dict, "extra": dict}:
        found = ", ".join(f"{key} {kind.__name__}" for key, kind in kinds.items())
        raise MtpanoError(f"{file} is not a checkpoint configuration ({found}): {remedy}")
    if (version := facts["format"]) > FORMAT:
        raise MtpanoError(
            f"{file} has format {version}, this mtpano reads up to {FORMAT}: upgrade mtpano"
        )
    return facts


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, half precision widened to float32."""
    file = Path(path).with_suffix(".safetensors")
    if not file.is_file():
        raise MtpanoError(f"checkpoint {file} does not exist: expected a .safetensors file")
    try:
        with safe_open(str(file), "pt") as source:
            tensors = {name: source.get_tensor(name) for name in source.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise MtpanoError(
            f"{file} cannot be read ({error}): it is truncated or not a safetensors file; copy or "
            "export it again"
        ) from error
    return {k: v.float() if v.dtype == torch.float16 else v for k, v in tensors.items()}


def own_names(net: PDBridgeNet, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint's tensors, with the names that `net` uses for them."""
    return {own_name(net, name): tensor for name, tensor in tensors.items()}


def own_name(net: PDBridgeNet, name: str) -> str:
    """The name in `net` of a tensor that another version of transformers may have named."""
    deeper = hasattr(getattr(net.backbone, "model", None), "model")
    return _BLOCKS.sub("backbone.model.model." if deeper else "backbone.model.", name)


def load_exactly(
    net: PDBridgeNet,
    tensors: dict[str, Tensor],
    source: str,
    names: dict[str, str] | None = None,
) -> None:
    """Load a state dict that fits exactly; else MtpanoError with the tensors, nothing loaded.

    names: names of the tensors in `source`, by the network's, where the two differ.
    """
    expected = net.state_dict()
    said = names or {}
    missing = [name for name in expected if name not in tensors]
    unexpected = [said.get(name, name) for name in tensors if name not in expected]
    misshapen = [
        f"{said.get(name, name)} ({_shape(tensors[name])}, expected {_shape(expected[name])})"
        for name in expected
        if name in tensors and tensors[name].shape != expected[name].shape
    ]
    found = {"missing": missing, "unexpected": unexpected, "misshapen": misshapen}
    problems = [f"{len(v)} {k}: {_first(v)}" for k, v in found.items() if v]
    if problems:
        raise MtpanoError(
            f"{source} is not a checkpoint of this network ({net.config.name}), nothing was "
            f"loaded; tensors {'; '.join(problems)}"
        )
    net.load_state_dict(tensors)


def _first(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"


def from_pretrained(path: str | Path = "default") -> PDBridgeNet:
    """The network of a checkpoint, in evaluation mode; "default" is the one that is shipped."""
    path = DEFAULT_CHECKPOINT if str(path) == "default" else Path(path)
    tensors = read_tensors(path)
    net = PDBridgeNet(PDBridgeNetConfig.from_dict(read_facts(path)["config"]))
    load_exactly(net, own_names(net, tensors), str(path))
    return net.eval()
