"""Unlabelled panoramas, one after another, from wherever they come."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mtpano_model.data.sample import PanoramaDataset, Sample
from mtpano_model.errors import MtpanoError


@dataclass
class Panorama:
    """One picture. image: uint8 [H, W, 3] RGB. truth: its ground truth, where it has one."""

    name: str
    image: NDArray[np.uint8]
    truth: Sample | None = None


@dataclass
class Skipped:
    """A picture that cannot be used, and why."""

    name: str
    reason: str


class PanoramaSource(Protocol):
    """Something that gives panoramas."""

    def __len__(self) -> int:
        """How many there are, skipped ones included."""
        ...

    def panoramas(self, done: Collection[str] = ()) -> Iterator[Panorama | Skipped]:
        """All panoramas in a fixed order, without those whose names are in `done`."""
        ...


class DatasetPanoramas:
    """The pictures of a labelled data set, with their ground truth.

    A frame that cannot be read is skipped and says so.
    """

    def __init__(self, dataset: PanoramaDataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def panoramas(self, done: Collection[str] = ()) -> Iterator[Panorama | Skipped]:
        for index, name in enumerate(self.dataset.names):
            if name not in done:
                try:
                    truth = self.dataset[index]
                except MtpanoError as error:
                    yield Skipped(name, str(error))
                    continue
                yield Panorama(name, truth.image.permute(1, 2, 0).contiguous().numpy(), truth)


def check_panorama(name: str, image: NDArray[np.uint8]) -> Panorama | Skipped:
    """The picture, if it is twice as wide as high (within two pixels) and 32 rows high or more."""
    height, width = image.shape[:2]
    if abs(width - 2 * height) > 2 or height < 32:
        reason = f"it is {width}x{height}, expected a 2:1 equirectangular panorama"
        return Skipped(name, reason)
    return Panorama(name, image)
