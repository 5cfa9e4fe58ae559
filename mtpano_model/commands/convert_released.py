"""`mtpano convert-released`: convert the authors' checkpoint into one of mtpano's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from mtpano_model.errors import writing


@dataclass
class Args:
    """Convert the MTPano authors' weights (mtpano_model_140k.pth.tar, mtpano_model_408k.pth.tar).

    The pickle is read with weights_only=True, so that no code in it can run. Every tensor must
    have a name and a shape of the released layout.
    """

    checkpoint: Annotated[Path, tyro.conf.Positional]
    """The authors' .pth.tar file."""
    out: Path
    """The .safetensors file to write; a .json with the configuration is written beside it."""
    fixture: Path | None = None
    """config.json of a reference folder, for a checkpoint of the same layout at another size."""


def run(args: Args) -> int:
    """Convert, and print what was written."""
    from safetensors import SafetensorError

    from mtpano_model.network import PDBridgeNet, preset
    from mtpano_model.network.foreign.released import load_released, read_released_checkpoint
    from mtpano_model.network.parity import read_fixture_config
    from mtpano_model.network.pretrained import save_pretrained

    tensors = read_released_checkpoint(args.checkpoint)
    config = preset("released") if args.fixture is None else read_fixture_config(args.fixture)
    net = PDBridgeNet(config)
    load_released(net, tensors, str(args.checkpoint))
    extra = {
        "license": "not stated by the MTPano authors",
        "trained_on": f"the MTPano authors' checkpoint {args.checkpoint.name}",
    }
    with writing(args.out, others=(SafetensorError,)):
        save_pretrained(net, args.out, extra=extra)
    parameters = sum(p.numel() for p in net.parameters())
    print(f"{args.out.with_suffix('.safetensors')}: {parameters / 1e6:.1f} M parameters")
    return 0
