"""Panoramas of a rig's lenses, out of a bag or of folders of pictures."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from mtpano_model.data.panorama import Panorama, Skipped, checked_panorama
from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.picture import Picture
from mtpano_model.rig.panoramas import RigPanoramas
from mtpano_model.rig.reading import read_rig
from mtpano_model.rig.writing import rig_yaml
from mtpano_model.shots.recording import recording_name
from mtpano_model.shots.rig import RigMoments


class RigShots:
    """Every `every`-th moment; a name is that of the bag or folder / the moment's own.

    place: as for `RigMoments`. A moment that cannot be used is skipped and says so.
    """

    def __init__(self, place: str | Path, rig_file: str | Path, every: int = 1):
        self._panoramas = RigPanoramas(read_rig(rig_file))
        self._moments = RigMoments(Path(place), self._panoramas.rig)
        self._name, self._every = recording_name(Path(place)), every

    def __len__(self) -> int:
        return -(-self._moments.count // self._every)

    def identity(self) -> str:
        rig = rig_yaml(self._panoramas.rig)
        return f"{self._name} {self._moments.count} {self._every} {rig}"

    def panoramas(self, done: Collection[str] = ()) -> Iterator[Panorama | Skipped]:
        size = self._panoramas.size
        for moment in islice(self._moments, 0, None, self._every):
            name = f"{self._name}/{moment.name}"
            if name in done:
                continue
            try:
                rgb, seen = self._panoramas.compose(moment.open(), size)
            except MtpanoError as error:
                yield Skipped(name, str(error))
                continue
            yield checked_panorama(name, Picture(rgb, "rgb", size, seen=seen))
