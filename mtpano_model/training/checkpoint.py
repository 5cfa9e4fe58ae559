"""What a run leaves behind, written so that a kill at any moment leaves the last good one.

RUN/checkpoints/step_NNNNNNNN/ holds the weights (`net`), their moving average (`average`), both as
safetensors with their configuration beside, and `optimizer.pt`. A folder appears under its final
name only when it is complete.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mtpano_model.errors import MtpanoError
from mtpano_model.network.pd_bridgenet import PDBridgeNet
from mtpano_model.network.pretrained import load_exactly, read_tensors, save_pretrained
from mtpano_model.training.config import TrainConfig
from mtpano_model.training.ema import WeightAverage

FORMAT = 1
# What may differ between a run and its continuation: it does not change the losses.
_FREE_KEYS = ("workers", "eval_every", "log_every", "checkpoint_minutes")


def save_checkpoint(
    run: Path,
    step: int,
    net: PDBridgeNet,
    average: WeightAverage | None,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
    facts: dict[str, Any],
) -> Path:
    """Write a checkpoint after `step` optimizer steps and remove older ones."""
    folder = run / "checkpoints" / f"step_{step:08d}"
    partial = folder.with_suffix(".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    extra = {**facts, "step": step}
    save_pretrained(net, partial / "net", extra=extra)
    if average is not None:
        save_pretrained(net, partial / "average", extra=extra, state=average.state)
    torch.save(optimizer.state_dict(), partial / "optimizer.pt")
    progress = {"format": FORMAT, "step": step, "config": asdict(config)}
    (partial / "progress.json").write_text(json.dumps(progress, indent=1), encoding="utf-8")
    for file in partial.iterdir():
        with file.open("rb") as written:
            os.fsync(written.fileno())
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    for older in _complete(run)[:-1]:
        shutil.rmtree(older)
    return folder


def latest_checkpoint(run: Path) -> Path | None:
    """The newest complete checkpoint of a run, None where there is none."""
    complete = _complete(run)
    return complete[-1] if complete else None


def load_checkpoint(
    folder: Path,
    net: PDBridgeNet,
    average: WeightAverage | None,
    optimizer: torch.optim.Optimizer,
    config: TrainConfig,
) -> int:
    """Restore a run's state and return the steps it has done.

    MtpanoError where the checkpoint belongs to another configuration, naming the first difference.
    """
    progress = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
    if progress["format"] > FORMAT:
        raise MtpanoError(
            f"{folder} has format {progress['format']}, this mtpano reads {FORMAT}: upgrade mtpano"
        )
    _refuse_other_config(folder, progress["config"], json.loads(json.dumps(asdict(config))))
    load_exactly(net, read_tensors(folder / "net"), str(folder))
    if average is not None:
        average.state = read_tensors(folder / "average")
    device = next(net.parameters()).device
    optimizer.load_state_dict(
        torch.load(folder / "optimizer.pt", map_location=device, weights_only=True)
    )
    return progress["step"]


def best_weights(path: Path) -> Path:
    """The weights file behind PATH: a run, a checkpoint folder or a safetensors file.

    The moving average where there is one.
    """
    folder = path
    if (path / "checkpoints").is_dir():
        folder = latest_checkpoint(path) or path
    for name in ("average.safetensors", "net.safetensors"):
        if (folder / name).is_file():
            return folder / name
    if path.is_dir():
        raise MtpanoError(f"{path} holds no checkpoint: give a run's folder or a .safetensors file")
    return path


def _complete(run: Path) -> list[Path]:
    return sorted(p for p in (run / "checkpoints").glob("step_*") if p.suffix != ".part")


def _refuse_other_config(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    for key, value in new.items():
        if key not in _FREE_KEYS and old.get(key) != value:
            raise MtpanoError(
                f"{folder} was trained with {key} = {old.get(key)}, now it is {value}: resume with "
                "the same configuration, or start a new run with --init"
            )
