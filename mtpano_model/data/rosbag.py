"""Panoramas that a robot recorded: any rosbag2, without ROS."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from mtpano_model.bags import find_images, read_images
from mtpano_model.data.panorama import Panorama, Skipped, check_panorama


class BagPanoramas:
    """Every `every`-th picture of one image topic; a name is the bag's name / the stamp in ns.

    bag: the bag's folder or its .mcap / .db3 file. topic: None takes the bag's only image topic.
    MtpanoError where the bag cannot be read or lacks the topic (its message names those it has).
    """

    def __init__(self, bag: str | Path, topic: str | None = None, every: int = 1):
        self.bag, self.every = Path(bag), every
        found = find_images(self.bag, topic)
        self.topic, self.count = found.topic, found.count

    def __len__(self) -> int:
        return -(-self.count // self.every)

    def panoramas(self, done: Collection[str] = ()) -> Iterator[Panorama | Skipped]:
        for number, (stamp, image) in enumerate(read_images(self.bag, self.topic)):
            name = f"{self.bag.name}/{stamp}"
            if number % self.every == 0 and name not in done:
                yield check_panorama(name, image)


def is_bag(path: str | Path) -> bool:
    """Whether a path looks like a rosbag2: a folder with metadata.yaml, or a bag's file."""
    path = Path(path)
    return (path / "metadata.yaml").is_file() or path.suffix in (".mcap", ".db3")
