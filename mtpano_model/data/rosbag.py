"""Panoramas that a robot recorded: any rosbag2, without ROS."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

from mtpano_model.bags import find_images, read_pictures
from mtpano_model.data.panorama import Panorama, Skipped, check_panorama


class BagPanoramas:
    """Every `every`-th picture of one image topic; a name is the bag's name / the stamp in ns.

    bag: the bag's folder or its .mcap / .db3 file; either way the bag has the folder's name.
    topic: None takes the bag's only image topic.
    A picture that is damaged, not 2:1 or of an earlier one's stamp is skipped and says so.
    MtpanoError where the bag cannot be read or lacks the topic (its message names those it has).
    """

    def __init__(self, bag: str | Path, topic: str | None = None, every: int = 1):
        self.bag, self.every = Path(bag), every
        self.name = _name_of(self.bag.resolve())
        found = find_images(self.bag, topic)
        self.topic, self.count = found.topic, found.count

    def __len__(self) -> int:
        return -(-self.count // self.every)

    def panoramas(self, done: Collection[str] = ()) -> Iterator[Panorama | Skipped]:
        taken: set[str] = set()
        for picture in islice(read_pictures(self.bag, self.topic), 0, None, self.every):
            name = f"{self.name}/{picture.stamp}"
            if name in taken:
                yield Skipped(name, "an earlier picture of the bag has the same stamp")
                continue
            if name in done:
                continue
            try:
                image = picture.decode()
            except ValueError as damage:
                yield Skipped(name, str(damage))
                continue
            taken.add(name)
            yield check_panorama(name, image)


def _name_of(bag: Path) -> str:
    """The bag's folder, for its file too, so that no picture gets two names."""
    return bag.parent.name if (bag.parent / "metadata.yaml").is_file() else bag.name


def is_bag(path: str | Path) -> bool:
    """Whether a path looks like a rosbag2: a folder with metadata.yaml, or a bag's file."""
    path = Path(path)
    return (path / "metadata.yaml").is_file() or path.suffix in (".mcap", ".db3")
