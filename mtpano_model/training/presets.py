"""The named recipes: the paper's, and those of small networks, which are ours."""

from __future__ import annotations

from dataclasses import replace

from mtpano_model.data.augment import STRONG, AugmentConfig
from mtpano_model.errors import MtpanoError, did_you_mean
from mtpano_model.training.config import OptimizerConfig, Stage, TrainConfig
from mtpano_model.training.losses import LossConfig

_YAW_AND_MIRROR = AugmentConfig(yaw=True, mirror=0.5)

# arXiv 2602.05330: Adam 2e-5, weight decay 5e-6, polynomial decay 0.9, clip 10, batch 4 a GPU;
# 100k steps for 140k panoramas, 180k for 408k. Precision is not published, bfloat16 is ours.
PRETRAIN_LABEL_FREE = TrainConfig(
    preset="pretrain_label_free",
    network="large",
    backbone_weights="facebook/dinov3-vitl16-pretrain-lvd1689m",
    data="store",
    stages=(Stage(512, 1024, 1000, 4, learn="heads"), Stage(512, 1024, 100_000, 4)),
    augment=_YAW_AND_MIRROR,
    patch_depth=True,
    precision="bf16-mixed",
    workers=8,
    eval_every=5000,
    checkpoint_minutes=20,
)


# Outdoors, on labels or on rendered truth: Cityscapes' classes, and depth whose loss is relative,
# since what is far would else outweigh all that a robot can reach.
PRETRAIN_OUTDOOR = replace(
    PRETRAIN_LABEL_FREE,
    preset="pretrain_outdoor",
    class_set="outdoor19",
    losses=replace(PRETRAIN_LABEL_FREE.losses, depth_kind="log_l1"),
)


def _finetune(name: str, class_set: str, head_steps: int, steps: int) -> TrainConfig:
    """The paper's fine-tuning on ground truth, batch 6."""
    return replace(
        PRETRAIN_LABEL_FREE,
        preset=f"finetune_{name}",
        network="",
        backbone_weights="",
        data=name,  # type: ignore[arg-type]
        class_set=class_set,
        stages=(Stage(512, 1024, head_steps, 6, learn="heads"), Stage(512, 1024, steps, 6)),
        patch_depth=False,
        eval_every=max(steps // 10, 100),
    )


# On two cores; what was tried and what it gave is in the model card.
ROOMS_SMALL = TrainConfig(
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
        depth_gradient=1.0,
        plane=0.5,
        uncertainty=0.1,
        normals_frequency=0.0,
        auxiliary=0.01,
        initial_stride=4,
    ),
    augment=STRONG,
)

# A robot's own recording: few panoramas, pseudo-labels, minutes on a CPU. What the teachers do not
# label stays as the network had it.
FINETUNE_BAG = replace(
    ROOMS_SMALL,
    preset="finetune_bag",
    network="",
    data="store",
    stages=(Stage(256, 512, 120, 4),),
    optimizer=replace(ROOMS_SMALL.optimizer, lr=3e-4, backbone_lr=1e-4, warmup=20, ema=0.98),
    losses=replace(ROOMS_SMALL.losses, class_balance=0.0, plane=0.0),
    keep_unlabelled=True,
    freeze_norm=True,
    eval_every=30,
    log_every=5,
    patience=3,
)

PRESETS = {
    config.preset: config
    for config in (
        PRETRAIN_LABEL_FREE,
        PRETRAIN_OUTDOOR,
        _finetune("structured3d", "nyu40", 500, 30_000),
        _finetune("stanford2d3d", "stanford13", 200, 1000),
        _finetune("matterport3d", "nyu40", 100, 1000),
        FINETUNE_BAG,
        ROOMS_SMALL,
    )
}


def training_preset(name: str) -> TrainConfig:
    """A named recipe; MtpanoError suggests the nearest name."""
    if name not in PRESETS:
        raise MtpanoError(f"unknown training preset '{name}': {did_you_mean(name, PRESETS)}")
    return PRESETS[name]
