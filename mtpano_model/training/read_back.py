"""Reads a checkpoint's progress and optimizer, and refuses damaged files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.settings import built, updated
from mtpano_model.stored_files import open_regular, read_json
from mtpano_model.training.config import TrainConfig

# Flag of `mtpano train` -> what was found there; `origin` makes it.
Origin = dict[str, str]

FORMAT = 1
REMEDY = "remove this checkpoint's folder to resume from an older one, or start a new run"


@dataclass
class Progress:
    """Progress of a run.

    step: optimizer steps done. world: processes that share a step. best: highest validation score
    so far. stale: validations since then. stopped: the run has ended, since there were too many.
    """

    step: int = 0
    world: int = 1
    best: float = 0.0
    stale: int = 0
    stopped: bool = False


def read_progress(folder: Path) -> tuple[Progress, TrainConfig, Origin]:
    """Progress, configuration and origin of a checkpoint; MtpanoError if its file is damaged."""
    path = folder / "progress.json"
    stored = read_json(path, REMEDY)
    version = stored.pop("format", None)
    if type(version) is int and version > FORMAT:
        raise MtpanoError(f"{folder} has format {version}, this mtpano reads {FORMAT}: upgrade it")
    config, origin = stored.pop("config", None), stored.pop("origin", {})
    if type(version) is not int or not isinstance(config, dict) or not isinstance(origin, dict):
        raise MtpanoError(
            f"{path} is damaged (format {version}, config {type(config).__name__}, origin "
            f"{type(origin).__name__}): {REMEDY}"
        )
    try:
        return built(Progress, stored), updated(TrainConfig(), config), origin
    except MtpanoError as error:
        raise MtpanoError(f"{path} does not fit this mtpano ({error}): {REMEDY}") from error


def read_optimizer(folder: Path, device: torch.device | str) -> dict[str, Any]:
    """The optimizer's state from a checkpoint's folder; MtpanoError if it cannot be read."""
    path = folder / "optimizer.pt"
    try:
        with open_regular(path) as file:
            return torch.load(file, map_location=device, weights_only=True)
    except Exception as error:  # torch raises some ten kinds for damaged or foreign bytes
        raise MtpanoError(f"{path} cannot be read ({one_line(error)}): {REMEDY}") from error


def check_fit(optimizer: torch.optim.Optimizer) -> None:
    """ValueError or KeyError if an Adam's state is incomplete or has other shapes."""
    for group in optimizer.param_groups:
        if lacking := optimizer.defaults.keys() - group.keys():
            raise ValueError(f"it has no {min(lacking)}")
    for parameter, memory in optimizer.state.items():
        for name in ("exp_avg", "exp_avg_sq"):
            if memory[name].shape != parameter.shape:
                shapes = f"{tuple(memory[name].shape)} for a tensor of {tuple(parameter.shape)}"
                raise ValueError(f"{name} has shape {shapes}")
