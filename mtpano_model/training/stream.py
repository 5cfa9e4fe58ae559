"""The training data as a stream that any step can be jumped to.

Which frames a step sees, and how they are augmented, follows from (seed, position) alone. So a
resumed run goes on with the very batches that the interrupted one would have seen, and no state of
a random generator has to be kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from mtpano_model.data.augment import AugmentConfig, augment
from mtpano_model.data.sample import Batch, PanoramaDataset, Sample, collate
from mtpano_model.training.auxiliary import image_targets


@dataclass(frozen=True)
class Draw:
    """One frame to load: its index and its position in the stream, which seeds augmentation."""

    index: int
    position: int


class StreamSampler(Sampler[list[Draw]]):
    """Batches of `Draw`s: every epoch is a permutation of all frames seeded by (seed, epoch).

    first: position in the stream of the first frame; batches: how many batches; rank, world: this
    process takes every world-th batch.
    """

    def __init__(
        self,
        length: int,
        batch: int,
        batches: int,
        *,
        seed: int,
        first: int = 0,
        rank: int = 0,
        world: int = 1,
    ):
        self.length, self.batch, self.batches = length, batch, batches
        self.seed, self.first, self.rank, self.world = seed, first, rank, world

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[Draw]]:
        epoch, order = -1, np.empty(0, np.int64)
        for number in range(self.batches):
            start = self.first + (number * self.world + self.rank) * self.batch
            draws = []
            for position in range(start, start + self.batch):
                if position // self.length != epoch:
                    epoch = position // self.length
                    order = np.random.default_rng((self.seed, epoch)).permutation(self.length)
                draws.append(Draw(int(order[position % self.length]), position))
            yield draws


class _AugmentedFrames(Dataset[Sample]):
    def __init__(self, frames: PanoramaDataset, config: AugmentConfig, seed: int):
        self.frames, self.config, self.seed = frames, config, seed

    def __getitem__(self, draw: Draw) -> Sample:
        rng = np.random.default_rng((self.seed, 1, draw.position))
        return augment(self.frames[draw.index], self.config, rng)


def collate_with_targets(samples: list[Sample]) -> Batch:
    """A batch with the auxiliary targets that only the image decides (grad, edf)."""
    batch = collate(samples)
    targets = [image_targets(sample.image) for sample in samples]
    batch.auxiliary = {k: torch.stack([t[k] for t in targets]) for k in targets[0]}
    return batch


def training_batches(
    frames: PanoramaDataset,
    augmentation: AugmentConfig,
    sampler: StreamSampler,
    workers: int,
    *,
    pin_memory: bool = False,
) -> DataLoader[Batch]:
    """Augmented batches with auxiliary targets, made by `workers` processes ahead of time."""
    return DataLoader(
        _AugmentedFrames(frames, augmentation, sampler.seed),  # type: ignore[arg-type]
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=collate_with_targets,
        worker_init_fn=_one_thread,
        prefetch_factor=4 if workers else None,
        pin_memory=pin_memory,
    )


def _one_thread(_: int) -> None:
    cv2.setNumThreads(0)
