"""`mtpano train`: train a network on a data set."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from mtpano_model.addresses import refuse_address
from mtpano_model.data.sample import PanoramaDataset
from mtpano_model.data.sources import KINDS, open_frames
from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.size import parse_size
from mtpano_model.settings import parse_assignments, read_yaml, updated
from mtpano_model.training.config import Stage, TrainConfig
from mtpano_model.training.presets import training_preset
from mtpano_model.training.stream import TrainingData


@dataclass
class Args:
    """Train a network on panoramas with labels.

    A preset sets every number. A YAML file (--config), then the flags below, then --set override
    it, in this order. Every run writes all its settings to config.yaml; they are explained in
    mtpano_model/training/config.py, training/losses.py (LossConfig) and data/augment.py
    (AugmentConfig).

    A preset with two or more stages that train the whole network calls the last of them its final
    stage. The presets finetune_* and pretrain_* have no final stage.
    """

    data_root: Path
    """Folder of the data set or of the label store."""
    out: Path
    """Folder to write the run into: checkpoints, metrics.jsonl, tensorboard, config.yaml."""
    preset: str = "rooms_small"
    """Recipe to start from: pretrain_label_free, pretrain_outdoor, finetune_structured3d,
    finetune_stanford2d3d, finetune_matterport3d, finetune_bag, rooms_small."""
    config: Path | None = None
    """YAML file with settings that override the preset's."""
    init: Path | None = None
    """Weights to start from: default, a run, a checkpoint folder or a .safetensors file."""
    resume: bool = False
    """Continue from the newest checkpoint in --out, if there is one."""
    network: str | None = None
    """Network preset, for example small."""
    size: str | None = None
    """Picture size, HEIGHTxWIDTH, of every stage except the final one."""
    steps: int | None = None
    """Optimizer steps of every stage that trains the whole network, except the final one."""
    batch: int | None = None
    """Panoramas per step and process in every stage except the final one."""
    final_size: str | None = None
    """Picture size of the final stage; a preset without one gets it. "none" drops the stage."""
    final_steps: int | None = None
    """Optimizer steps of the final stage."""
    final_batch: int | None = None
    """Panoramas per step and process in the final stage."""
    lr: float | None = None
    """Peak learning rate."""
    backbone_lr: float | None = None
    """Peak learning rate of the backbone."""
    precision: str | None = None
    """Arithmetic: 32-true (float32) or bf16-mixed (bfloat16; losses stay in float32)."""
    workers: int | None = None
    """Processes that load and augment panoramas."""
    seed: int | None = None
    """Seed of the data order, the augmentation and the initial weights."""
    eval_every: int | None = None
    """Steps between validations."""
    also: list[str] = field(default_factory=list)
    """Further data sets to mix in, each KIND:SHARE:FOLDER, for example store:0.2:labels/real."""
    set: list[str] = field(default_factory=list)
    """Any other settings, KEY=VALUE, for example optimizer.ema=0.999 losses.dice=0."""
    threads: int | None = None
    """CPU threads that the network uses."""


def run(args: Args) -> int:
    """Train; returns the exit status."""
    from mtpano_model.torch_device import use_threads
    from mtpano_model.training.loop import train

    use_threads(args.threads)
    config = config_of(args)
    train(config, data_of(args, config), args.out, init=args.init, resume=args.resume)
    return 0


def config_of(args: Args) -> TrainConfig:
    """The preset, overridden by the YAML file and the command line."""
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
            f"the shares of --also sum to {shares:g}: expected less than 1, since --data-root "
            "makes up the rest"
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
    refuse_address(root)
    return kind, value, Path(root)
