"""`mtpano train`: from a data set to a checkpoint."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from mtpano_model.data.rooms import RoomsDataset
from mtpano_model.errors import MtpanoError
from mtpano_model.training.config import Stage, TrainConfig, training_preset


@dataclass
class Args:
    """Train a network.

    A preset gives every number; flags that are given replace it.
    """

    data_root: Path
    """Folder of the data set."""
    out: Path
    """Folder of the run: checkpoints, metrics.jsonl."""
    preset: str = "rooms_small"
    """Recipe to start from."""
    network: str | None = None
    """Network preset, e.g. small."""
    size: str | None = None
    """Picture size, HEIGHTxWIDTH, of the first stage (128x256)."""
    steps: int | None = None
    """Optimizer steps of the first stage."""
    batch: int | None = None
    """Panoramas a step in the first stage."""
    final_size: str | None = None
    """Picture size of a second, last stage; "none" leaves it out."""
    final_steps: int | None = None
    """Optimizer steps of the last stage."""
    final_batch: int | None = None
    """Panoramas a step in the last stage."""
    lr: float | None = None
    """Peak learning rate."""
    backbone_lr: float | None = None
    """Peak learning rate of the backbone."""
    precision: str | None = None
    """32-true or bf16-mixed."""
    workers: int | None = None
    """Loader processes."""
    seed: int | None = None
    """Seed of data order, augmentation and initial weights."""
    init: Path | None = None
    """Start from these weights: a run, a checkpoint folder or a .safetensors file."""
    resume: bool = False
    """Go on from the newest checkpoint in --out, if there is one."""
    eval_every: int | None = None
    """Steps between validations."""
    threads: int | None = None
    """CPU threads of the network."""


def run(args: Args) -> int:
    """Train as told; returns the exit status."""
    import torch

    from mtpano_model.training.loop import TrainingData, train

    logging.getLogger("mtpano_model").setLevel(logging.INFO)
    if args.threads:
        torch.set_num_threads(args.threads)

    @cache
    def frames(split: str, size: tuple[int, int]) -> RoomsDataset:
        dataset = RoomsDataset(args.data_root, split, size, cache=True)  # type: ignore[arg-type]
        dataset.preload()
        return dataset

    data = TrainingData(
        train=lambda size: frames("train", size), val=lambda size: frames("val", size)
    )
    train(config_of(args), data, args.out, init=args.init, resume=args.resume)
    return 0


def config_of(args: Args) -> TrainConfig:
    """The preset with what the command line says put in its place."""
    config = training_preset(args.preset)
    plain = {
        key: value
        for key in ("network", "precision", "workers", "seed", "eval_every")
        if (value := getattr(args, key)) is not None
    }
    rates = {k: v for k in ("lr", "backbone_lr") if (v := getattr(args, k)) is not None}
    first = _stage(config.stages[0], args.size, args.steps, args.batch)
    stages = (first,)
    if args.final_size != "none" and (len(config.stages) > 1 or args.final_size):
        last = config.stages[-1]
        stages += (_stage(last, args.final_size, args.final_steps, args.final_batch),)
    return replace(config, **plain, stages=stages, optimizer=replace(config.optimizer, **rates))


def _stage(stage: Stage, size: str | None, steps: int | None, batch: int | None) -> Stage:
    if size is not None:
        match = re.fullmatch(r"(\d+)x(\d+)", size)
        if match is None:
            raise MtpanoError(f"size '{size}' is not HEIGHTxWIDTH: give for example 128x256")
        stage = replace(stage, height=int(match[1]), width=int(match[2]))
    if steps is not None:
        stage = replace(stage, steps=steps)
    return stage if batch is None else replace(stage, batch=batch)
