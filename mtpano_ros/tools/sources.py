"""Panoramas from an image, a folder, a video file or a rosbag2, as one kind of stream.

A `Source` can be read again and again; each pass yields RGB uint8 arrays [H, W, 3] as stored.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.files import read_panorama
from mtpano_model.pictures.folders import (
    PICTURE_SUFFIXES,
    find_pictures,
    readable,
    refuse_camera_file,
)
from mtpano_model.pictures.picture import NoteTeller
from mtpano_model.shots.bag import find_images, read_images
from mtpano_model.shots.recording import is_recording
from mtpano_model.shots.shot import open_shots

Pixels = NDArray[np.uint8]
PANORAMAS = Path(__file__).parents[1] / "panoramas"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A finite stream of panoramas.

    description: what is read, for people. rate: its own frames per second, None where it has none.
    frames: called for every pass; yields RGB uint8 [H, W, 3].
    """

    description: str
    rate: float | None
    frames: Callable[[], Iterator[Pixels]]


def open_source(path: Path, topic: str | None = None, rig_file: Path | None = None) -> Source:
    """Find out what `path` is and open it; MtpanoError if it is nothing that can be played.

    topic: the image topic of a rosbag2; None takes the only one there is. rig_file: it holds the
    pictures of this rig's lenses.
    """
    # pathlib's own would raise for users that are not known, and for names that are too long.
    path = Path(os.path.expanduser(path))
    refuse_camera_file(path)
    if not os.path.exists(path):
        raise MtpanoError(
            f"input '{readable(path)}' does not exist: "
            "give an image, a folder of images, a video or a rosbag2"
        )
    if rig_file is not None:
        return open_rig(path, topic, rig_file)
    if is_recording(path):
        return open_bag(path, topic)
    if topic is not None:
        raise MtpanoError(f"topic '{topic}': '{readable(path)}' is no rosbag2 and has no topics")
    if not path.is_file():
        return open_folder(path)
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return open_image(path)
    return open_video(path)


def open_image(path: Path) -> Source:
    """One image, shown for as long as the stream lasts."""
    picture = read_panorama(path, allow_non_2to1=True)
    NoteTeller(log).tell(readable(path), picture)
    image = picture.rgb
    return Source(f"image {readable(path)}", None, lambda: iter([image]))


def open_folder(folder: Path) -> Source:
    """The images of a folder in natural order (2 before 10); unreadable ones are skipped, told."""
    paths = find_pictures(folder)
    name = readable(folder)
    notes = NoteTeller(log)

    def frames() -> Iterator[Pixels]:
        found = 0
        for path in paths:
            try:
                picture = read_panorama(path, allow_non_2to1=True)
            except MtpanoError as error:
                log.warning("skipped: %s", error)
                continue
            found += 1
            notes.tell(readable(path), picture)
            yield picture.rgb
        if not found:
            raise MtpanoError(f"none of the {len(paths)} images in '{name}' can be decoded")

    return Source(f"{len(paths)} images in {name}", None, frames)


def open_bag(path: Path, topic: str | None = None) -> Source:
    """The images of one topic of a rosbag2, at the rate at which that topic was recorded."""
    found = find_images(path, topic)
    name = readable(path)

    def frames() -> Iterator[Pixels]:
        read = 0
        for _, image in read_images(path, found.topic, allow_non_2to1=True):
            read += 1
            yield image
        if not read:
            raise MtpanoError(f"bag '{name}': none of the images on '{found.topic}' can be decoded")

    return Source(f"{found.count} images on {found.topic} in {name}", found.rate, frames)


def open_rig(path: Path, topic: str | None, rig_file: Path) -> Source:
    """Panoramas of a rig's lenses, out of a bag or of pictures."""
    name = readable(path)

    def frames() -> Iterator[Pixels]:
        for shot in open_shots(path, topic, rig_file=rig_file).every:
            assert shot.size is not None
            try:
                yield shot.open(shot.size).rgb
            except MtpanoError as error:
                log.warning("skipped: %s: %s", shot.title, error)

    count = open_shots(path, topic, rig_file=rig_file).count
    return Source(f"{count} moments of a rig in {name}", None, frames)


def open_video(path: Path) -> Source:
    """A video file through OpenCV, at its own frame rate."""
    name = readable(path)
    capture = _capture(path)
    rate = capture.get(cv2.CAP_PROP_FPS)
    is_decodable, _ = capture.read()
    capture.release()
    if not is_decodable:
        raise MtpanoError(f"video '{name}' has no frame that can be decoded: convert it to H.264")

    def frames() -> Iterator[Pixels]:
        capture = _capture(path)
        try:
            while True:
                is_read, bgr = capture.read()
                if not is_read:
                    return
                yield np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
        finally:
            capture.release()

    return Source(f"video {name}", rate if np.isfinite(rate) and rate > 0 else None, frames)


def _capture(path: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise MtpanoError(
            f"'{readable(path)}' cannot be read as an image, a video or a rosbag2: "
            "expected one of those, or a folder of images"
        )
    return capture
