"""Decodes a recorded video stream packet by packet, and returns only complete pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from mtpano_model.pictures.panorama import as_panorama
from mtpano_model.pictures.picture import Picture
from mtpano_model.video.decoder import VideoPicture
from mtpano_model.video.messages import VideoPacket
from mtpano_model.video.stream import Stream

log = logging.getLogger(__name__)

# Why a packet shows nothing, by the decoder's counts.
_REASONS = {
    "waiting": "wait for a key frame, at the start or after a gap",
    "damaged": "are damaged",
    "late": "have a stamp that is not after the last",
    "refused": "belong to a stream with B frames or of another codec",
    "empty": "hold no picture",
}


class VideoReader:
    """Decodes the packets of one topic in their order. name: of the stream, for messages."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stream = Stream(lambda sentence: log.warning("%s: %s", name, sentence))

    def read(self, packet: VideoPacket, stamp: int) -> VideoPicture | None:
        """The picture that a packet completes, or None; stamp, errors: see `Stream`."""
        return self._stream.feed(packet, stamp)

    def summary(self) -> str:
        """A sentence that counts the packets without a picture, by reason; "" if there are none."""
        counts = self._stream.counts
        lost = [f"{counts[name]} {why}" for name, why in _REASONS.items() if counts[name]]
        if not lost:
            return ""
        return (
            f"{self._name}: {counts['shown']} of {counts['fed']} packets of video gave a picture; "
            + ", ".join(lost)
        )


def lens_picture(picture: VideoPicture) -> Picture:
    """A decoded picture of any shape; its colours are converted now."""
    pixels = picture.rgb()
    return Picture(pixels, "rgb", (pixels.shape[0], pixels.shape[1]))


def video_panorama(picture: VideoPicture) -> Callable[[bool], Picture]:
    """A function that returns a decoded picture's panorama; its argument says whether the shape may
    differ from 2:1. BadPicture if it cannot be used."""
    return partial(_panorama, picture)


def _panorama(picture: VideoPicture, allow_non_2to1: bool) -> Picture:
    return as_panorama(lens_picture(picture), allow_non_2to1)
