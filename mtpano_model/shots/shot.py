"""Opens panoramas one by one from pictures, folders, bags, video topics and rigs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.files import read_panorama
from mtpano_model.pictures.folders import find_pictures, output_names, readable
from mtpano_model.pictures.picture import Picture
from mtpano_model.pictures.size import Size
from mtpano_model.rig.panoramas import RigPanoramas
from mtpano_model.rig.reading import read_rig
from mtpano_model.shots.bag import BagPicture, find_images, read_pictures
from mtpano_model.shots.recording import is_recording, refuse_bag_options
from mtpano_model.shots.rig import RigMoment, RigMoments

MOST_EVERY = 10**9  # islice takes no more than a word of the machine


@dataclass(frozen=True)
class Shot:
    """One panorama that is not read yet.

    name: for the names of output files. title: for messages. open: takes a size (H, W) and returns
    the panorama; only a rig's panorama is composed at that size. MtpanoError if it cannot be used.
    size: (H, W) of a rig's panorama in full detail, None otherwise.
    """

    name: str
    title: str
    open: Callable[[Size], Picture]
    size: Size | None = None


@dataclass(frozen=True)
class Shots:
    """count: the largest possible number; video gives fewer if packets are missing."""

    count: int
    every: Iterable[Shot]


def open_shots(
    place: Path,
    topic: str | None = None,
    every: int = 1,
    rig_file: Path | None = None,
    allow_non_2to1: bool = False,
) -> Shots:
    """All panoramas of a picture, a folder or a bag, or of a rig's lenses in one of them.

    topic, every: of a bag, its image topic, and N for every Nth picture. MtpanoError if there is
    nothing to read, or an argument does not apply to `place`.
    """
    if not 1 <= every <= MOST_EVERY:
        raise MtpanoError(f"every {every}: expected 1 to {MOST_EVERY}")
    if rig_file is not None:
        if topic is not None:
            raise MtpanoError("the topics are the rig file's: leave --topic out")
        panoramas = RigPanoramas(read_rig(rig_file))
        moments = RigMoments(place, panoramas.rig)
        count = -(-moments.count // every)
        return Shots(count, _of_rig(islice(moments, 0, None, every), panoramas))
    if is_recording(place):
        found = find_images(place, topic)
        pictures = islice(read_pictures(place, found.topic), 0, None, every)
        return Shots(-(-found.count // every), _of_bag(pictures, allow_non_2to1))
    refuse_bag_options(readable(place), topic, every)
    paths = find_pictures(place)
    return Shots(len(paths), _of_files(paths, allow_non_2to1))


def _of_files(paths: list[Path], allow: bool) -> Iterator[Shot]:
    def reader(path: Path) -> Callable[[Size], Picture]:
        return lambda _: read_panorama(path, allow)

    for name, path in zip(output_names(paths), paths, strict=True):
        yield Shot(name, readable(path), reader(path))


def _of_bag(pictures: Iterable[BagPicture], allow: bool) -> Iterator[Shot]:
    def reader(picture: BagPicture) -> Callable[[Size], Picture]:
        def read(_: Size) -> Picture:
            try:
                return picture.decode(allow)
            except MtpanoError as error:
                raise MtpanoError(f"picture {picture.stamp}: {error}") from error

        return read

    for picture in pictures:
        yield Shot(str(picture.stamp), f"picture {picture.stamp}", reader(picture))


def _of_rig(moments: Iterable[RigMoment], panoramas: RigPanoramas) -> Iterator[Shot]:
    for moment in moments:
        yield Shot(
            moment.name, f"moment {moment.name}", _RigShot(moment, panoramas).open, panoramas.size
        )


class _RigShot:
    """Decodes its lenses' pictures once, for all sizes."""

    def __init__(self, moment: RigMoment, panoramas: RigPanoramas) -> None:
        self._moment, self._panoramas = moment, panoramas
        self._pictures: dict[str, NDArray[np.uint8]] | None = None

    def open(self, size: Size) -> Picture:
        if self._pictures is None:
            self._pictures = self._moment.open()
        rgb, seen = self._panoramas.compose(self._pictures, size)
        return Picture(rgb, "rgb", size, seen=None if seen.all() else seen)
