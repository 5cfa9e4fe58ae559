"""Checkpoints of a run, written so that a kill at any moment leaves the last complete one.

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
from dataclasses import asdict
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
from mtpano_model.settings import first_difference, plain
from mtpano_model.training.config import TrainConfig
from mtpano_model.training.ema import WeightAverage
from mtpano_model.training.read_back import (
    FORMAT,
    REMEDY,
    Origin,
    Progress,
    check_fit,
    read_optimizer,
    read_progress,
)

# What may differ between a run and its continuation: it does not change the losses.
_FREE_KEYS = (
    "workers",
    "eval_every",
    "eval_frames",
    "pictures",
    "log_every",
    "checkpoint_minutes",
    "parallel",
    "accumulate",  # but for what `_refuse_other_step` says
)
_BEST = ("best", "best.old")  # the latter after a kill while the former was replaced
_WHOLE = whole.StateDictOptions(full_state_dict=True, cpu_offload=True)


class RunState:
    """Everything of a run that changes: network, moving average, optimizer, progress.

    origin: the run's frames and first weights, which do not change (`origin.origin_of`).
    Every process must call `save`, since sharded networks are gathered; only `main` writes.
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
        """Store the present weights as the run's best."""
        weights, _ = self._gather()
        if self.main:
            with _complete_or_not_at_all(run / "best") as partial:
                self._save_weights(partial, weights, facts)

    def load(self, folder: Path, config: TrainConfig) -> None:
        """Restore a checkpoint. The number of processes may differ if a step sees as many frames.

        MtpanoError if it belongs to another configuration, other frames or other first weights,
        naming the first difference.
        """
        progress, trained_with, origin = read_progress(folder)
        _refuse_other_config(folder, trained_with, config)
        _refuse_other_origin(folder, origin, self.origin)
        world = self.progress.world
        _refuse_other_step(
            folder, progress.world, trained_with.accumulate, world, config.accumulate
        )
        self._restore(folder)
        vars(self.progress).update(vars(progress), world=world)

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
        optimizer = read_optimizer(folder, device)
        if self._sharded:
            whole.set_model_state_dict(self.net, dict[str, Any](weights), options=_WHOLE)
        else:
            load_exactly(self.net, weights, str(folder))
        try:
            if self._sharded:  # not strict: what never had a gradient has no state
                options = dataclasses.replace(_WHOLE, strict=False)
                named = _with_names(optimizer, self.net, self.optimizer)
                whole.set_optimizer_state_dict(self.net, self.optimizer, named, options=options)
            else:
                self.optimizer.load_state_dict(optimizer)
            check_fit(self.optimizer)
        except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
            raise MtpanoError(
                f"{folder}/optimizer.pt belongs to another network or optimizer ({error}): {REMEDY}"
            ) from error
        if self.average is not None:
            averages = own_names(self.net, read_tensors(folder / "average"))
            if {k: x.shape for k, x in averages.items()} != {
                k: x.shape for k, x in self.average.state.items()
            }:
                raise MtpanoError(
                    f"{folder}/average.safetensors belongs to another network: {REMEDY}"
                )
            self.average.state = {name: x.to(device) for name, x in averages.items()}

    def _save_weights(
        self, folder: Path, weights: dict[str, Tensor], facts: dict[str, Any]
    ) -> None:
        extra = {**facts, "step": self.progress.step}
        save_pretrained(self.net, folder / "net", extra=extra, state=weights)
        if self.average is not None:
            save_pretrained(self.net, folder / "average", extra=extra, state=self.average.state)


def _with_names(
    stored: dict[str, Any], net: PDBridgeNet, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """A stored optimizer state whose parameters are named, as sharded ones are, not numbered."""
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    order = [names[id(p)] for group in optimizer.param_groups for p in group["params"]]

    def name_of(key: Any) -> Any:
        return order[key] if isinstance(key, int) else key

    groups = [
        {**group, "params": [name_of(key) for key in group["params"]]}
        for group in stored["param_groups"]
    ]
    return {
        "state": {name_of(key): memory for key, memory in stored["state"].items()},
        "param_groups": groups,
    }


def latest_checkpoint(run: Path) -> Path | None:
    """The newest complete checkpoint of a run, or None."""
    complete = _complete(run)
    return complete[-1] if complete else None


def best_weights(path: Path) -> Path:
    """The weights file behind "default", a run, a checkpoint folder or a safetensors file.

    For a run, its best weights, or else its newest; the moving average if there is one.
    """
    if str(path) == "default":
        return DEFAULT_CHECKPOINT
    folder = path
    if (path / "checkpoints").is_dir():
        kept = (path / name for name in _BEST)
        folder = next(filter(Path.is_dir, kept), None) or latest_checkpoint(path) or path
    for name in ("average.safetensors", "net.safetensors"):
        if (folder / name).is_file():
            return folder / name
    if path.is_dir():
        raise MtpanoError(f"{path} holds no checkpoint: give a run's folder or a .safetensors file")
    return path


def lasting_folder(weights: Path) -> Path:
    """The folder for a file that is derived from a weights file, such as an export.

    Beside the weights, but for a run in its own folder, since training deletes older checkpoints;
    the working directory for the shipped weights.
    """
    if weights == DEFAULT_CHECKPOINT:
        return Path()
    folder = weights.parent
    if folder.parent.name == "checkpoints":
        return folder.parent.parent
    is_best = folder.name in _BEST and (folder.parent / "checkpoints").is_dir()
    return folder.parent if is_best else folder


def _complete(run: Path) -> list[Path]:
    return sorted(p for p in (run / "checkpoints").glob("step_*") if not p.suffix)


@contextmanager
def _complete_or_not_at_all(folder: Path) -> Iterator[Path]:
    """A folder to write into, which is renamed to `folder` once every byte is on the disk."""
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
            f"checkpoint {folder} cannot be written ({error}): the one before it is complete; "
            "free some disk space and --resume"
        ) from error
    before = folder.with_name(f"{folder.name}.old")
    if folder.exists():  # it stays until the new one has its name
        shutil.rmtree(before, ignore_errors=True)
        folder.rename(before)
    partial.rename(folder)
    shutil.rmtree(before, ignore_errors=True)


def _refuse_other_config(folder: Path, old: TrainConfig, new: TrainConfig) -> None:
    before, now = ({k: v for k, v in plain(c).items() if k not in _FREE_KEYS} for c in (old, new))
    difference = first_difference(before, now)
    if difference:
        key, was, is_ = difference
        raise MtpanoError(
            f"{folder} was trained with {key} = {was}, now it is {is_}: resume with the same "
            "configuration, or start a new run with --init"
        )


def _refuse_other_step(
    folder: Path, old_world: int, old_parts: int, world: int, parts: int
) -> None:
    """MtpanoError if processes x parts (`accumulate`), which share a step, is another number."""
    if old_world * old_parts == world * parts:
        return
    what = f"by {old_world} processes, now there are {world}"
    fitting, rest = divmod(old_world * old_parts, world)
    other = "" if rest else f", or with --set accumulate={fitting}"
    if old_world == world:
        what, other = f"with accumulate = {old_parts}, now it is {parts}", ""
    raise MtpanoError(
        f"{folder} was trained {what}: resume with as many{other}, or start a new run with --init"
    )


def _refuse_other_origin(folder: Path, old: Origin, new: Origin) -> None:
    for flag, was in old.items():
        if new[flag] != was:
            raise MtpanoError(
                f"{folder} was trained with {flag} = {was}, now it is {new[flag]}: resume with the "
                "one that the first line of the run's config.yaml names, or start a new run"
            )
