"""Panoramas from an image, a folder, a video file or a rosbag2, as one kind of stream.

A `Source` can be read again and again; each pass yields RGB uint8 arrays [H, W, 3] as stored.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.bags import find_images, read_images
from mtpano_model.errors import MtpanoError
from mtpano_model.inference.picture_files import PICTURE_SUFFIXES, read_picture

Image = NDArray[np.uint8]
BAG_SUFFIXES = (".mcap", ".db3")
PANORAMAS = Path(__file__).parent / "panoramas"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A finite stream of panoramas.

    description: what is read, for people. rate: its own frames per second, None where it has none.
    frames: called for every pass; yields RGB uint8 [H, W, 3].
    """

    description: str
    rate: float | None
    frames: Callable[[], Iterator[Image]]


def open_source(path: Path, topic: str | None = None) -> Source:
    """Find out what `path` is and open it; MtpanoError if it is nothing that can be played.

    topic: the image topic of a rosbag2; None takes the only one there is.
    """
    path = path.expanduser()
    if not path.exists():
        raise MtpanoError(
            f"input '{path}' does not exist: "
            "give an image, a folder of images, a video or a rosbag2"
        )
    if (path / "metadata.yaml").is_file() or path.suffix.lower() in BAG_SUFFIXES:
        return open_bag(path, topic)
    if path.is_dir():
        return open_folder(path)
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return open_image(path)
    return open_video(path)


def open_image(path: Path) -> Source:
    """One image, shown for as long as the stream lasts."""
    image = read_picture(path)
    return Source(f"image {path}", None, lambda: iter([image]))


def open_folder(folder: Path) -> Source:
    """The images of a folder in natural order (2 before 10); unreadable ones are skipped, told."""
    paths = sorted(
        (path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES),
        key=natural_order,
    )
    if not paths:
        raise MtpanoError(
            f"folder '{folder}' holds no image: "
            f"expected files ending in {' '.join(PICTURE_SUFFIXES)}"
        )

    def frames() -> Iterator[Image]:
        readable = 0
        for path in paths:
            try:
                image = read_picture(path)
            except MtpanoError as error:
                log.warning("skipped: %s", error)
                continue
            readable += 1
            yield image
        if not readable:
            raise MtpanoError(f"folder '{folder}': none of its {len(paths)} images can be decoded")

    return Source(f"{len(paths)} images in {folder}", None, frames)


def open_bag(path: Path, topic: str | None = None) -> Source:
    """The images of one topic of a rosbag2, at the rate they were recorded."""
    found = find_images(path, topic)
    if not found.count:
        raise MtpanoError(f"topic '{found.topic}' of bag '{path}' is empty: choose another")

    def frames() -> Iterator[Image]:
        readable = 0
        for _, image in read_images(path, found.topic):
            readable += 1
            yield image
        if not readable:
            raise MtpanoError(f"bag '{path}': none of the images on '{found.topic}' can be decoded")

    rate = (found.count - 1) / found.seconds if found.count > 1 and found.seconds > 0 else None
    return Source(f"{found.count} images on {found.topic} in {path}", rate, frames)


def open_video(path: Path) -> Source:
    """A video file through OpenCV, at its own frame rate."""
    capture = _capture(path)
    rate = capture.get(cv2.CAP_PROP_FPS)
    readable, _ = capture.read()
    capture.release()
    if not readable:
        raise MtpanoError(f"video '{path}' has no frame that can be decoded: convert it to H.264")

    def frames() -> Iterator[Image]:
        capture = _capture(path)
        try:
            while True:
                readable, bgr = capture.read()
                if not readable:
                    return
                yield np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
        finally:
            capture.release()

    return Source(f"video {path}", rate if np.isfinite(rate) and rate > 0 else None, frames)


def _capture(path: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise MtpanoError(
            f"'{path}' cannot be read as an image, a video or a rosbag2: "
            "expected one of those, or a folder of images"
        )
    return capture


def natural_order(path: Path) -> list[tuple[int, str]]:
    """Sort key: digits count as numbers, so frame_2 comes before frame_10."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
