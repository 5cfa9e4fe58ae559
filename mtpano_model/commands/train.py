"""`mtpano train`: from a data set to a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from mtpano_model.data.sample import PanoramaDataset
from mtpano_model.data.sources import KINDS, open_frames
from mtpano_model.errors import MtpanoError
from mtpano_model.picture_size import parse_size
from mtpano_model.training.config import Stage, TrainConfig
from mtpano_model.training.presets import training_preset
from mtpano_model.training.settings import parse_assignments, read_yaml, updated
from mtpano_model.training.stream import TrainingData


@dataclass
class Args:
    """Train a network.

    A preset gives every number; a YAML file (--config), then the flags below, then --set replace
    it. All keys are in config.yaml of every run, a sentence on each in mtpano_model's
    training/config.py, training/losses.py (LossConfig) and data/augment.py (AugmentConfig).

    Where two or more stages train everything, the last of them is the final stage; the presets
    finetune_* and pretrain_* have none.
    """

    data_root: Path
    """Folder of the data set, or of the label store."""
    out: Path
    """Folder of the run: checkpoints, metrics.jsonl, tensorboard, config.yaml."""
    preset: str = "rooms_small"
    """Recipe to start from: pretrain_label_free, finetune_structured3d, finetune_stanford2d3d,
    finetune_matterport3d, finetune_bag, rooms_small."""
    config: Path | None = None
    """YAML file of settings that replace the preset's."""
    init: Path | None = None
    """Start from these weights: default, a run, a checkpoint folder or a .safetensors file."""
    resume: bool = False
    """Go on from the newest checkpoint in --out, if there is one."""
    network: str | None = None
    """Network preset, e.g. small."""
    size: str | None = None
    """Picture size, HEIGHTxWIDTH, of every stage but the final one."""
    steps: int | None = None
    """Optimizer steps of every stage that trains everything but the final one."""
    batch: int | None = None
    """Panoramas a step and process, in every stage but the final one."""
    final_size: str | None = None
    """Picture size of the final stage, which is added if need be; "none" leaves it out."""
    final_steps: int | None = None
    """Optimizer steps of the final stage."""
    final_batch: int | None = None
    """Panoramas a step and process in the final stage."""
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
    eval_every: int | None = None
    """Steps between validations."""
    also: list[str] = field(default_factory=list)
    """More training frames, each KIND:SHARE:FOLDER, e.g. store:0.2:labels/real."""
    set: list[str] = field(default_factory=list)
    """Any other setting, KEY=VALUE, e.g. optimizer.ema=0.999 losses.dice=0."""
    threads: int | None = None
    """CPU threads of the network."""


def run(args: Args) -> int:
    """Train as told; returns the exit status."""
    import torch

    from mtpano_model.training.loop import train

    if args.threads:
        torch.set_num_threads(args.threads)
    config = config_of(args)
    train(config, data_of(args, config), args.out, init=args.init, resume=args.resume)
    return 0


def config_of(args: Args) -> TrainConfig:
    """The preset with what the YAML file and the command line say put in its place."""
    config = training_preset(args.preset)
    if args.config is not None:
        config = updated(config, read_yaml(args.config))
    values: dict[str, Any] = _given(args, ("network", "precision", "workers", "seed", "eval_every"))
    config = updated(config, {**values, "optimizer": _given(args, ("lr", "backbone_lr"))})
    return updated(replace(config, stages=_stages(args, config)), parse_assignments(args.set))


def data_of(args: Args, config: TrainConfig) -> TrainingData:
    """The frames to train and validate on, opened when a stage asks for them."""
    from mtpano_model.training.starting_point import class_set_of

    class_set = class_set_of(config, args.init)

    @cache
    def frames(kind: str, root: Path, split: str, size: tuple[int, int]) -> PanoramaDataset:
        return open_frames(kind, root, split, size, class_set)  # type: ignore[arg-type]

    also = []
    for text in args.also:
        kind, share, root = _other_source(text)
        also.append((lambda size, k=kind, r=root: frames(k, r, "train", size), share))
    shares = round(sum(share for _, share in also), 6)
    if shares >= 1:
        raise MtpanoError(
            f"the shares of --also sum to {shares:g}: expected less than 1, the rest being what "
            "--data-root makes up"
        )
    return TrainingData(
        train=lambda size: frames(config.data, args.data_root, "train", size),
        val=lambda size: frames(config.data, args.data_root, "val", size),
        also=tuple(also),
        flags=("--data-root", str(args.data_root), *(["--also", *args.also] if args.also else [])),
    )


def _given(args: Args, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(args, name)) is not None}


def _stages(args: Args, config: TrainConfig) -> tuple[Stage, ...]:
    """The stages as --size, --steps, --batch and their --final forms change them."""
    *early, last = config.stages
    heads = [stage for stage in early if stage.learn == "heads"]
    early = [stage for stage in early if stage.learn == "all"]
    if args.final_size == "none":
        early, final = early or [last], []
    elif early:
        final = [_stage(last, args.final_size, args.final_steps, args.final_batch)]
    else:
        early = [last]
        given = args.final_size or args.final_steps or args.final_batch
        changed = _stage(last, args.final_size, args.final_steps, args.final_batch)
        final = [changed] if given else []
    heads = [_stage(stage, args.size, None, args.batch) for stage in heads]
    early = [_stage(stage, args.size, args.steps, args.batch) for stage in early]
    return (*heads, *early, *final)


def _stage(stage: Stage, size: str | None, steps: int | None, batch: int | None) -> Stage:
    changes: dict[str, Any] = {}
    if size is not None:
        changes = dict(zip(("height", "width"), parse_size(size), strict=True))
    if steps is not None:
        changes["steps"] = steps
    if batch is not None:
        changes["batch"] = batch
    return replace(stage, **changes)


def _other_source(text: str) -> tuple[str, float, Path]:
    kind, _, rest = text.partition(":")
    share, _, root = rest.partition(":")
    try:
        value = float(share)
    except ValueError:
        value = 0.0
    if kind not in KINDS or not 0 < value < 1 or not root:
        raise MtpanoError(
            f"--also '{text}' is not KIND:SHARE:FOLDER: give a kind of {', '.join(KINDS)}, a share "
            "of the stream between 0 and 1, and a folder"
        )
    return kind, value, Path(root)
