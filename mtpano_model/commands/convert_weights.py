"""`mtpano convert-weights`: convert published weights into a checkpoint or a .safetensors file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mtpano_model.errors import MtpanoError, writing

_LICENSES = {"depth-anything-v2": "Apache-2.0", "da360": "MIT"}


@dataclass
class Args:
    """Convert weights that others published; pickles are read without running code in them.

    depth-anything-v2 and da360 (ViT-S) become a start for the network `base`: an untrained one
    whose encoder has their weights, for `mtpano train --init`. dap becomes the same tensors as a
    .safetensors file, for the teacher dap.
    """

    kind: Annotated[Literal["depth-anything-v2", "da360", "dap"], tyro.conf.Positional]
    """Whose weights they are."""
    checkpoint: Annotated[Path, tyro.conf.Positional]
    """Their .pth (or .safetensors) file."""
    out: Path
    """The .safetensors file to write."""
    seed: int = 0
    """Seed of the weights that the file does not contain."""


def run(args: Args) -> int:
    """Convert, and print what was written."""
    from safetensors import SafetensorError

    from mtpano_model.network.foreign.files import read_state

    state = read_state(args.checkpoint)
    convert = _as_safetensors if args.kind == "dap" else _as_base
    with writing(args.out, others=(SafetensorError,)):
        count = convert(state, args)
    print(f"{args.out.with_suffix('.safetensors')}: {count / 1e6:.1f} M parameters")
    return 0


def _as_safetensors(state: dict, args: Args) -> int:
    from safetensors.torch import save_file
    from torch import Tensor

    from mtpano_model.network.foreign.files import without_prefix

    # DAP's are those of a network that was trained in several processes.
    if not any(name.startswith("module.") for name in state):
        raise MtpanoError(
            f"{args.checkpoint} has no tensor 'module. ...': expected model.pth of "
            "Insta360-Research/DAP-weights"
        )
    tensors = {
        name: value.contiguous().clone()
        for name, value in without_prefix(state, "module.").items()
        if isinstance(value, Tensor)
    }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, args.out.with_suffix(".safetensors"))
    return sum(tensor.numel() for tensor in tensors.values())


def _as_base(state: dict, args: Args) -> int:
    import torch

    from mtpano_model.network import PDBridgeNet, preset
    from mtpano_model.network.foreign.depth_anything import load_depth_anything_encoder
    from mtpano_model.network.pretrained import save_pretrained

    torch.manual_seed(args.seed)
    net = PDBridgeNet(preset("base"))
    load_depth_anything_encoder(net.backbone, state, str(args.checkpoint))  # type: ignore[arg-type]
    extra = {
        "license": _LICENSES[args.kind],
        "trained_on": f"nothing but its encoder: {args.kind} weights {args.checkpoint.name}",
    }
    save_pretrained(net, args.out, extra=extra)
    return sum(p.numel() for p in net.parameters())
