"""A data set for training tests: one box room seen from a few directions, in memory."""

from __future__ import annotations

from dataclasses import replace

import torch
from test_augment import render

from mtpano_model.data.augment import AugmentConfig
from mtpano_model.data.sample import Sample
from mtpano_model.geometry import sphere
from mtpano_model.training.config import OptimizerConfig, ParallelConfig, Stage, TrainConfig
from mtpano_model.training.losses import LossConfig
from mtpano_model.training.stream import TrainingData


class BoxRooms:
    """`count` views. without: fields of `Sample` that no view has labels of."""

    class_set = "indoor18"

    def __init__(self, count: int, size: tuple[int, int], first: int = 0, without: str = ""):
        self.names = [f"view{first + i}" for i in range(count)]
        turns = [sphere.yaw_matrix(0.7 * (first + i)) for i in range(count)]
        self._samples = [
            _without(replace(render(turn, *size), name=name, confidence=None), without)
            for turn, name in zip(turns, self.names, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]


def _without(sample: Sample, field: str) -> Sample:
    if field == "depth":
        return replace(sample, depth_valid=torch.zeros_like(sample.depth_valid))
    if field == "semseg":
        return replace(sample, semseg=torch.full_like(sample.semseg, 255))
    return sample


def box_data(count: int = 6, without: str = "") -> TrainingData:
    """Six views to train on, two others to validate."""
    return TrainingData(
        train=lambda size: BoxRooms(count, size, without=without),
        val=lambda size: BoxRooms(2, size, first=count),
    )


def quick_config(**changes: object) -> TrainConfig:
    """A few steps of the nano network on the CPU, every one logged."""
    config = TrainConfig(
        preset="test",
        network="nano",
        stages=(Stage(32, 64, 4, 2),),
        optimizer=OptimizerConfig(kind="adamw", lr=2e-3, backbone_lr=2e-3, ema=0.9),
        losses=LossConfig(depth_kind="log_l1", class_balance=0.3),
        augment=AugmentConfig(yaw=True, mirror=0.5),
        parallel=ParallelConfig(accelerator="cpu"),
        workers=0,
        eval_every=1000,
        log_every=1,
        pictures=0,
    )
    return replace(config, **changes)  # type: ignore[arg-type]
