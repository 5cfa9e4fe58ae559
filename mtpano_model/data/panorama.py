"""Unlabelled panoramas, one after another, from any kind of source."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.picture import Picture
from mtpano_model.pictures.size import size_text

if TYPE_CHECKING:  # what hands out a job's tasks reads no truth, and starts without torch
    from mtpano_model.data.sample import PanoramaDataset, Sample

_LEAST_ROWS = 32


@dataclass
class Panorama:
    """One picture. image: uint8 [H, W, 3] RGB. truth: its ground truth, where it has one. seen:
    bool [H, W], false where the image shows nothing; None: all is seen."""

    name: str
    image: NDArray[np.uint8]
    truth: Sample | None = None
    seen: NDArray[np.bool_] | None = None


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

    def identity(self) -> str:
        """A text that changes when the pictures do, as far as their names tell."""
        ...

    def panoramas(self, done: Collection[str] = ()) -> Iterator[Panorama | Skipped]:
        """All panoramas in a fixed order, without those whose names are in `done`.

        A name is asked for right before its picture is read.
        """
        ...


class DatasetPanoramas:
    """The pictures of a labelled data set, with their ground truth.

    A frame that cannot be read is skipped and says so.
    """

    def __init__(self, dataset: PanoramaDataset):
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def identity(self) -> str:
        return "\n".join(self.dataset.names)

    def panoramas(self, done: Collection[str] = ()) -> Iterator[Panorama | Skipped]:
        for index, name in enumerate(self.dataset.names):
            if name not in done:
                try:
                    truth = self.dataset[index]
                except MtpanoError as error:
                    yield Skipped(name, str(error))
                    continue
                yield Panorama(name, truth.rgb, truth)


def checked_panorama(name: str, picture: Picture) -> Panorama | Skipped:
    """The picture, if it is 32 rows high or more."""
    if picture.size[0] < _LEAST_ROWS:
        reason = f"it is {size_text(picture.size)}, expected at least {_LEAST_ROWS} rows"
        return Skipped(name, reason)
    return Panorama(name, picture.rgb, seen=picture.seen)
