"""The training data as a stream that can start at any step.

The frames of a step and their augmentation depend on (seed, position) alone. A resumed run thus
sees the same batches as the interrupted one would have, and no state of a random generator has to
be stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from mtpano_model.data.augment import AugmentConfig, augment
from mtpano_model.data.sample import Batch, PanoramaDataset, Sample, collate
from mtpano_model.errors import MtpanoError
from mtpano_model.training.auxiliary import image_targets
from mtpano_model.training.config import Stage, TrainConfig

# (height, width) -> frames at that size.
Frames = Callable[[tuple[int, int]], PanoramaDataset]


@dataclass(frozen=True)
class TrainingData:
    """Frames for training and validation, at any size.

    also: further training frames, each with its share of the stream. flags: the arguments of
    `mtpano train` that name them.
    """

    train: Frames
    val: Frames
    also: tuple[tuple[Frames, float], ...] = ()
    flags: tuple[str, ...] = ()

    def sources(self, size: tuple[int, int]) -> list[tuple[PanoramaDataset, float]]:
        """All training frames at a size, each set with its share of the stream."""
        rest = 1 - sum(share for _, share in self.also)
        return [(self.train(size), rest), *((frames(size), share) for frames, share in self.also)]


@dataclass(frozen=True)
class Draw:
    """One frame to load.

    source, index: number of its data set, and its index there.
    position: its place in the stream, which seeds augmentation.
    merged: use merged pseudo-labels, not one patch's depth.
    """

    source: int
    index: int
    position: int
    merged: bool


class StreamSampler(Sampler[list[Draw]]):
    """Batches of `Draw`s from one or several data sets.

    lengths: frames of each. shares: how much of the stream each makes up (they sum to 1). An epoch
    shows every frame of the first set once, shuffled with as many of the others as their shares
    ask for. first: position of the first frame; batches: how many batches; rank, world: this
    process takes every world-th batch.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch: int,
        batches: int,
        *,
        seed: int,
        shares: Sequence[float] = (1.0,),
        first: int = 0,
        rank: int = 0,
        world: int = 1,
        merged: bool = True,
    ):
        self.lengths, self.batch, self.batches = lengths, batch, batches
        self.seed, self.first, self.rank, self.world = seed, first, rank, world
        self.merged = merged
        self.quotas = [lengths[0]]
        self.quotas += [max(round(lengths[0] / shares[0] * share), 1) for share in shares[1:]]

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[Draw]]:
        number, frames = -1, np.empty((0, 2), np.int64)
        for batch in range(self.batches):
            start = self.first + (batch * self.world + self.rank) * self.batch
            draws = []
            for position in range(start, start + self.batch):
                epoch, place = divmod(position, sum(self.quotas))
                if epoch != number:
                    number, frames = epoch, self._epoch(epoch)
                source, index = frames[place].tolist()
                draws.append(Draw(source, index, position, self.merged))
            yield draws

    def _epoch(self, epoch: int) -> NDArray[np.int64]:
        """(source, index) of every position of an epoch, [N, 2]."""
        rows = [np.stack([np.zeros(self.lengths[0], np.int64), np.arange(self.lengths[0])], 1)]
        for source, quota in enumerate(self.quotas[1:], 1):
            places = np.arange(epoch * quota, (epoch + 1) * quota)
            rounds = places // self.lengths[source]
            index = np.empty(quota, np.int64)
            for number in np.unique(rounds):
                order = np.random.default_rng((self.seed, source, int(number))).permutation(
                    self.lengths[source]
                )
                chosen = rounds == number
                index[chosen] = order[places[chosen] % self.lengths[source]]
            rows.append(np.stack([np.full(quota, source), index], 1))
        frames = np.concatenate(rows)
        return frames[np.random.default_rng((self.seed, epoch)).permutation(len(frames))]


@runtime_checkable
class DrawsPatches(Protocol):
    """A data set that can give the depth of one random patch instead of the merged depth."""

    def draw(self, index: int, rng: np.random.Generator) -> Sample: ...


class _AugmentedFrames(Dataset[Sample | MtpanoError]):
    """Returns errors as values: the loader would turn one that is raised into a traceback."""

    def __init__(self, sources: Sequence[PanoramaDataset], config: AugmentConfig, seed: int):
        self.sources, self.config, self.seed = sources, config, seed

    def __getitem__(self, draw: Draw) -> Sample | MtpanoError:
        try:
            return self._augmented(draw)
        except MtpanoError as error:
            return error

    def _augmented(self, draw: Draw) -> Sample:
        frames = self.sources[draw.source]
        if not draw.merged and isinstance(frames, DrawsPatches):
            sample = frames.draw(draw.index, self._generator(2, draw))
        else:
            sample = frames[draw.index]
        return augment(sample, self.config, self._generator(1, draw))

    def _generator(self, purpose: int, draw: Draw) -> np.random.Generator:
        return np.random.default_rng((self.seed, purpose, draw.position))


def _collate(drawn: list[Sample | MtpanoError]) -> Batch | MtpanoError:
    """A batch with the auxiliary targets of the images (grad, edf); or an error."""
    samples = [sample for sample in drawn if isinstance(sample, Sample)]
    if len(samples) < len(drawn):
        return next(error for error in drawn if isinstance(error, MtpanoError))
    batch = collate(samples)
    targets = [image_targets(sample.image) for sample in samples]
    batch.auxiliary = {k: torch.stack([t[k] for t in targets]) for k in targets[0]}
    return batch


def stage_batches(
    config: TrainConfig,
    data: TrainingData,
    stage: Stage,
    *,
    done: int = 0,
    first: int = 0,
    rank: int = 0,
    world: int = 1,
    pin_memory: bool = False,
) -> Iterator[Batch]:
    """The batches of a stage from its step `done` on, made by worker processes ahead of time.

    Each is augmented and has its auxiliary targets. first: position of the stage's first frame in
    the stream. rank, world: number of this process, and of all. MtpanoError at the first batch with
    a frame that cannot be read.
    """
    size = (stage.height, stage.width)
    sources, shares = zip(*data.sources(size), strict=True)
    sampler = StreamSampler(
        [len(frames) for frames in sources],
        stage.batch,
        (stage.steps - done) * config.accumulate,
        seed=config.seed,
        shares=shares,
        first=first + done * stage.batch * config.accumulate * world,
        rank=rank,
        world=world,
        merged=stage.learn == "heads" or not config.patch_depth,
    )
    return _raising(
        DataLoader(
            _AugmentedFrames(sources, config.augment, config.seed),  # type: ignore[arg-type]
            batch_sampler=sampler,
            num_workers=config.workers,
            collate_fn=_collate,
            worker_init_fn=_one_thread,
            prefetch_factor=4 if config.workers else None,
            pin_memory=pin_memory,
            # One of its own: an iterator draws a number when it is made, which would shift the
            # dropout of a resumed run's first step.
            generator=torch.Generator(),
        )
    )


def _raising(batches: Iterable[Batch | MtpanoError]) -> Iterator[Batch]:
    for batch in batches:
        if isinstance(batch, MtpanoError):
            raise batch
        yield batch


def _one_thread(_: int) -> None:
    cv2.setNumThreads(0)
