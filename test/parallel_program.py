"""What `test_training_parallel` runs in one process and in two: `parallel_program.py FOLDER`.

Writes, into FOLDER, the gradients of a first step of either kind of stage, and lets ddp and fsdp
train a few steps, the second of them in two halves.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import torch
from box_rooms import box_data, quick_config
from lightning_fabric import Fabric

from mtpano_model.network import PDBridgeNet
from mtpano_model.network.config import PRESETS
from mtpano_model.training.config import ParallelConfig, Stage, TrainConfig
from mtpano_model.training.loop import train

STEPS = 3
WORLD = int(os.environ.get("WORLD_SIZE", "1"))
RANK = int(os.environ.get("RANK", "0"))
# As released, foreign squeeze convolutions never get a gradient.
PRESETS["nano"] = replace(PRESETS["nano"], detach_before_squeeze=False)


class Done(Exception):
    pass


def config_of(strategy: str, *stages: Stage) -> TrainConfig:
    config = quick_config(
        stages=stages,
        freeze_norm=True,
        parallel=ParallelConfig(accelerator="cpu", strategy=strategy),  # type: ignore[arg-type]
    )
    return replace(config, optimizer=replace(config.optimizer, ema=0.0))


def save_gradients(folder: Path, name: str, stage: Stage, *, accumulate: int) -> None:
    """The gradients that the first step of a stage hands to the optimizer."""

    def intercept(fabric: Fabric, module: torch.nn.Module, *_: object, **__: object) -> None:
        net = next(m for m in module.modules() if isinstance(m, PDBridgeNet))
        own_names = {id(p): n for n, p in net.named_parameters()}
        gradients = {own_names[id(p)]: p.grad for p in module.parameters() if p.grad is not None}
        if fabric.is_global_zero:
            torch.save(gradients, folder / f"{name}.pt")
        raise Done

    stages = (stage,) if stage.learn == "all" else (stage, replace(stage, learn="all"))
    config = replace(config_of("auto", *stages), accumulate=accumulate)
    original = Fabric.clip_gradients
    Fabric.clip_gradients = intercept  # type: ignore[method-assign, assignment]
    try:
        train(config, box_data(), folder / name)
    except Done:
        pass
    finally:
        Fabric.clip_gradients = original  # type: ignore[method-assign]


def main(folder: Path) -> None:
    batch = 4 // WORLD
    for learn in ("all", "heads"):
        stage = Stage(32, 64, 1, batch, learn=learn)
        save_gradients(folder, f"gradients_{learn}", stage, accumulate=1)
    save_gradients(folder, "gradients_accumulated", Stage(32, 64, 1, batch // 2), accumulate=2)
    stages = Stage(32, 64, 1, batch, learn="heads"), Stage(32, 64, STEPS, batch)
    whole = "ddp" if WORLD > 1 else "auto"
    train(config_of(whole, *stages), box_data(), folder / "whole")
    if WORLD == 1:
        return
    train(config_of("fsdp", *stages), box_data(), folder / "sharded")
    halved = replace(config_of("fsdp", *stages), checkpoint_minutes=0.0)
    stop_after(2, lambda: train(halved, box_data(), folder / "halved"))
    train(halved, box_data(), folder / "halved", resume=True)


def stop_after(steps: int, run) -> None:
    from mtpano_model.training import loop

    checked = loop.check_losses

    def stopping(losses, batch, step, *rest):
        if step == steps:
            raise Done
        return checked(losses, batch, step, *rest)

    loop.check_losses = stopping
    try:
        run()
    except Done:
        pass
    finally:
        loop.check_losses = checked


if __name__ == "__main__":
    main(Path(sys.argv[1]))
