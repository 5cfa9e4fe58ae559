"""What a run leaves behind, written so that a kill at any moment leaves the last good one.

RUN/checkpoints/step_NNNNNNNN/ holds the weights (`net`), their moving average (`average`), both as
safetensors with their configuration beside, and `optimizer.pt`. A folder appears under its final
name only when it is complete. RUN/best/ holds the best weights of a run that may stop early.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.distributed.checkpoint import state_dict as whole
from torch.distributed.tensor import DTensor

from mtpano_model.errors import MtpanoError
from mtpano_model.network.pd_bridgenet import PDBridgeNet
from mtpano_model.network.pretrained import (
    DEFAULT_CHECKPOINT,
    load_exactly,
    own_names,
    read_tensors,
    save_pretrained,
)
from mtpano_model.training.config import TrainConfig
from mtpano_model.training.ema import WeightAverage
from mtpano_model.training.settings import first_difference, plain, updated

# Flag of `mtpano train` -> what was found there; `origin` makes it.
Origin = dict[str, str]

FORMAT = 1
# What may differ between a run and its continuation: it does not change the losses.
_FREE_KEYS = (
    "workers",
    "eval_every",
    "eval_frames",
    "pictures",
    "log_every",
    "checkpoint_minutes",
    "parallel",
)
_WHOLE = whole.StateDictOptions(full_state_dict=True, cpu_offload=True)


@dataclass
class Progress:
    """How far a run is.

    step: optimizer steps done. world: processes that share a step. best: highest validation score
    so far. stale: validations since then. stopped: there were too many, the run has ended.
    """

    step: int = 0
    world: int = 1
    best: float = 0.0
    stale: int = 0
    stopped: bool = False


class RunState:
    """Everything of a run that changes: network, moving average, optimizer, progress.

    origin: what the run is made of, which does not change and is kept beside the configuration.
    Sharded networks are gathered to be written, so every process has to call `save`; only the one
    that is `main` writes.
    """

    def __init__(
        self,
        net: PDBridgeNet,
        average: WeightAverage | None,
        optimizer: torch.optim.Optimizer,
        progress: Progress,
        origin: Origin,
        *,
        main: bool = True,
    ):
        self.net, self.average, self.optimizer = net, average, optimizer
        self.progress, self.origin, self.main = progress, origin, main
        self._sharded = any(isinstance(p, DTensor) for p in net.parameters())

    def save(self, run: Path, config: TrainConfig, facts: dict[str, Any]) -> None:
        """Write a checkpoint of a run and remove older ones."""
        weights, optimizer = self._gather()
        if not self.main:
            return
        folder = run / "checkpoints" / f"step_{self.progress.step:08d}"
        progress = {
            "format": FORMAT,
            **asdict(self.progress),
            "config": plain(config),
            "origin": self.origin,
        }
        with _complete_or_not_at_all(folder) as partial:
            self._save_weights(partial, weights, facts)
            torch.save(optimizer, partial / "optimizer.pt")
            text = json.dumps(progress, indent=1)
            (partial / "progress.json").write_text(text, encoding="utf-8")
        for older in _complete(run)[:-1]:
            shutil.rmtree(older)

    def save_best(self, run: Path, facts: dict[str, Any]) -> None:
        """Keep the present weights as the run's best."""
        weights, _ = self._gather()
        if self.main:
            with _complete_or_not_at_all(run / "best") as partial:
                self._save_weights(partial, weights, facts)

    def load(self, folder: Path, config: TrainConfig) -> None:
        """Restore a checkpoint.

        MtpanoError where it belongs to another configuration, other frames or other first weights,
        naming the first difference.
        """
        stored = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
        if stored["format"] > FORMAT:
            raise MtpanoError(
                f"{folder} has format {stored['format']}, this mtpano reads {FORMAT}: upgrade it"
            )
        _refuse_other_config(folder, updated(TrainConfig(), stored["config"]), config)
        _refuse_other_origin(folder, stored.get("origin", {}), self.origin)
        world = stored.get("world", 1)
        if world != self.progress.world:
            raise MtpanoError(
                f"{folder} was trained by {world} processes, now there are {self.progress.world}: "
                "resume with as many, or start a new run with --init"
            )
        self._restore(folder)
        for key in ("step", "best", "stale", "stopped"):
            setattr(self.progress, key, stored.get(key, getattr(self.progress, key)))

    def _gather(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        if self._sharded:
            weights = whole.get_model_state_dict(self.net, options=_WHOLE)
            return weights, whole.get_optimizer_state_dict(  # type: ignore[return-value]
                self.net, self.optimizer, options=_WHOLE
            )
        return self.net.state_dict(), self.optimizer.state_dict()

    def _restore(self, folder: Path) -> None:
        weights = own_names(self.net, read_tensors(folder / "net"))
        device = "cpu" if self._sharded else next(self.net.parameters()).device
        optimizer = torch.load(folder / "optimizer.pt", map_location=device, weights_only=True)
        if self._sharded:
            whole.set_model_state_dict(self.net, dict[str, Any](weights), options=_WHOLE)
            # Not strict: what never had a gradient has no state.
            whole.set_optimizer_state_dict(
                self.net,
                self.optimizer,
                optimizer,
                options=dataclasses.replace(_WHOLE, strict=False),
            )
        else:
            load_exactly(self.net, weights, str(folder))
            self.optimizer.load_state_dict(optimizer)
        if self.average is not None:
            averages = own_names(self.net, read_tensors(folder / "average"))
            self.average.state = {name: x.to(device) for name, x in averages.items()}

    def _save_weights(
        self, folder: Path, weights: dict[str, Tensor], facts: dict[str, Any]
    ) -> None:
        extra = {**facts, "step": self.progress.step}
        save_pretrained(self.net, folder / "net", extra=extra, state=weights)
        if self.average is not None:
            save_pretrained(self.net, folder / "average", extra=extra, state=self.average.state)


def latest_checkpoint(run: Path) -> Path | None:
    """The newest complete checkpoint of a run, None where there is none."""
    complete = _complete(run)
    return complete[-1] if complete else None


def best_weights(path: Path) -> Path:
    """The weights file behind "default", a run, a checkpoint folder or a safetensors file.

    Of a run its best ones, else its newest; the moving average where there is one.
    """
    if str(path) == "default":
        return DEFAULT_CHECKPOINT
    folder = path
    if (path / "checkpoints").is_dir():
        folder = path / "best" if (path / "best").is_dir() else latest_checkpoint(path) or path
    for name in ("average.safetensors", "net.safetensors"):
        if (folder / name).is_file():
            return folder / name
    if path.is_dir():
        raise MtpanoError(f"{path} holds no checkpoint: give a run's folder or a .safetensors file")
    return path


def lasting_folder(weights: Path) -> Path:
    """Where something made of a weights file can stay.

    Beside it, or in the run's own folder, for training deletes what lies below; the working
    directory for the shipped weights.
    """
    if weights == DEFAULT_CHECKPOINT:
        return Path()
    folder = weights.parent
    if folder.parent.name == "checkpoints":
        return folder.parent.parent
    is_best = folder.name == "best" and (folder.parent / "checkpoints").is_dir()
    return folder.parent if is_best else folder


def _complete(run: Path) -> list[Path]:
    return sorted(p for p in (run / "checkpoints").glob("step_*") if p.suffix != ".part")


@contextmanager
def _complete_or_not_at_all(folder: Path) -> Iterator[Path]:
    """A folder to write into, which gets its name once every byte is on the disk."""
    partial = folder.with_name(f"{folder.name}.part")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        for file in partial.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
    except (OSError, SafetensorError, RuntimeError) as error:  # torch says the latter: disk full
        shutil.rmtree(partial, ignore_errors=True)
        raise MtpanoError(
            f"checkpoint {folder} cannot be written ({error}): the one before it is whole; make "
            "room on the disk and --resume"
        ) from error
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _refuse_other_config(folder: Path, old: TrainConfig, new: TrainConfig) -> None:
    before, now = ({k: v for k, v in plain(c).items() if k not in _FREE_KEYS} for c in (old, new))
    difference = first_difference(before, now)
    if difference:
        key, was, is_ = difference
        raise MtpanoError(
            f"{folder} was trained with {key} = {was}, now it is {is_}: resume with the same "
            "configuration, or start a new run with --init"
        )


def _refuse_other_origin(folder: Path, old: Origin, new: Origin) -> None:
    for flag, was in old.items():
        if new[flag] != was:
            raise MtpanoError(
                f"{folder} was trained with {flag} = {was}, now it is {new[flag]}: resume with the "
                "one that the first line of the run's config.yaml names, or start a new run"
            )
