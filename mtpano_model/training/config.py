"""Everything a training run can be told, as documented dataclasses, and the named presets."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mtpano_model.data.augment import STRONG, AugmentConfig
from mtpano_model.errors import MtpanoError
from mtpano_model.training.losses import LossConfig


@dataclass(frozen=True)
class Stage:
    """A stretch of training at one picture size.

    height, width: of the pictures. steps: optimizer steps. batch: panoramas a step and process.
    """

    height: int
    width: int
    steps: int
    batch: int


@dataclass(frozen=True)
class OptimizerConfig:
    """How weights move.

    kind: Adam (weight decay as in the paper: an L2 term) or AdamW.
    lr, backbone_lr: peak learning rates. weight_decay: on weights of two and more dimensions.
    schedule: "poly" falls as (1 - progress)^power, "cosine" to zero.
    warmup: steps of linear rise. clip: largest norm of the gradient.
    ema: decay of the moving average of the weights that validation and export use; 0 = none.
    """

    kind: Literal["adam", "adamw"] = "adam"
    lr: float = 2e-5
    backbone_lr: float = 2e-5
    weight_decay: float = 5e-6
    schedule: Literal["poly", "cosine"] = "poly"
    power: float = 0.9
    warmup: int = 0
    clip: float = 10.0
    ema: float = 0.0


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    preset: the name it started from. network: a preset of `mtpano_model.network`.
    stages: picture sizes and steps, one after another under one schedule.
    optimizer, losses, augment: see there.
    accumulate: batches a step adds up.
    precision: "bf16-mixed" computes the network in bfloat16, losses stay in float32.
    workers: processes that load and augment; 0 = in the training process.
    seed: data order, augmentation and initial weights follow from it.
    eval_every, log_every: steps between validations and between log lines.
    checkpoint_minutes: time between checkpoints.
    """

    preset: str = "rooms_small"
    network: str = "small"
    stages: tuple[Stage, ...] = (Stage(128, 256, 8000, 8), Stage(256, 512, 1500, 4))
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    accumulate: int = 1
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    workers: int = 1
    seed: int = 0
    eval_every: int = 500
    log_every: int = 20
    checkpoint_minutes: float = 4.0

    @property
    def total_steps(self) -> int:
        return sum(stage.steps for stage in self.stages)


_ROOMS_SMALL = TrainConfig(
    preset="rooms_small",
    optimizer=OptimizerConfig(
        kind="adamw",
        lr=1.5e-3,
        backbone_lr=5e-4,
        weight_decay=1e-2,
        schedule="cosine",
        warmup=200,
        clip=5.0,
        ema=0.998,
    ),
    losses=LossConfig(
        semseg=0.5,
        dice=0.5,
        class_balance=0.3,
        depth_kind="log_l1",
        depth=2.0,
        depth_edge=0.25,
        depth_frequency=0.0,
        normals_frequency=0.0,
        auxiliary=0.01,
        initial_stride=4,
    ),
    augment=STRONG,
)

PRESETS: dict[str, TrainConfig] = {"rooms_small": _ROOMS_SMALL}


def training_preset(name: str, **changes: Any) -> TrainConfig:
    """A named configuration with fields changed by keyword; MtpanoError lists the names."""
    if name not in PRESETS:
        raise MtpanoError(f"unknown training preset '{name}': expected one of {', '.join(PRESETS)}")
    return replace(PRESETS[name], **changes)
