"""Panoramas that a robot recorded: any rosbag2, without ROS."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from mtpano_model.data.panorama import Panorama, Skipped, checked_panorama
from mtpano_model.pictures.picture import BadPicture, NoteTeller
from mtpano_model.shots.bag import find_images, read_pictures
from mtpano_model.shots.recording import recording_name

log = logging.getLogger(__name__)


class BagPanoramas:
    """Every `every`-th picture of one image topic; a name is the bag's name / the stamp in ns.

    bag: the bag's folder or its .mcap / .db3 file; either way the bag has the folder's name.
    topic: None takes the bag's only image topic.
    A picture that is damaged, not 2:1 or of an earlier one's stamp is skipped and says so.
    MtpanoError where the bag cannot be read or lacks the topic (its message names those it has).
    """

    def __init__(self, bag: str | Path, topic: str | None = None, every: int = 1):
        self.bag, self.every = Path(bag), every
        self.name = recording_name(self.bag)
        found = find_images(self.bag, topic)
        self.topic, self.count = found.topic, found.count

    def __len__(self) -> int:
        return -(-self.count // self.every)

    def identity(self) -> str:
        return f"{self.name} {self.topic} {self.count} {self.every}"

    def panoramas(self, done: Collection[str] = ()) -> Iterator[Panorama | Skipped]:
        taken: set[str] = set()
        notes = NoteTeller(log)
        for picture in islice(read_pictures(self.bag, self.topic), 0, None, self.every):
            name = f"{self.name}/{picture.stamp}"
            if name in taken:
                yield Skipped(name, "an earlier picture of the bag has the same stamp")
                continue
            if name in done:
                continue
            try:
                decoded = picture.decode(False)
            except BadPicture as error:
                yield Skipped(name, str(error))
                continue
            taken.add(name)
            notes.tell(name, decoded)
            yield checked_panorama(name, decoded)
