"""The result of every reader of pictures, and the error with which it refuses one."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.size import Size


class BadPicture(MtpanoError):
    """A picture that cannot be used.

    reason: one of encoding (of no colour picture), single_channel (depth or labels), data (too
    few bytes), step, size, aspect (not 2:1) and compressed (damaged or of an unknown format).
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Note(NamedTuple):
    """What a person should read of a picture that can be used. kind: shape, stereo, crop,
    orientation, tilt, projection or fisheye, by which readers tell it once. text: a sentence that
    begins with "it"."""

    kind: str
    text: str


@dataclass(frozen=True)
class Picture:
    """A decoded picture, its rows and columns as they are stored.

    EXIF orientation is applied nowhere: a camera must look the same in its live topic, its bag and
    its files, and which way up it is mounted is said by tf. So a tag that asks for a turn becomes
    a note.

    pixels: uint8 [h, w, 3], rows possibly apart in memory. order: of its channels.
    size: (H, W) of the whole picture, larger than `pixels` where a JPEG was decoded smaller.
    notes: see `Note`. seen: bool [h, w], false where nothing is known and a neutral colour stands;
    None: all is seen. tilt: the camera's pitch (up) and roll (to the right), degrees, as far as
    metadata tell it and the pixels still have it.
    """

    pixels: NDArray[np.uint8]
    order: Literal["rgb", "bgr"]
    size: Size
    notes: tuple[Note, ...] = ()
    seen: NDArray[np.bool_] | None = None
    tilt: tuple[float, float] = (0.0, 0.0)

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """The pixels in the order red, green, blue, [h, w, 3], contiguous."""
        if self.order == "rgb":
            return np.ascontiguousarray(self.pixels)
        return np.asarray(cv2.cvtColor(self.pixels, cv2.COLOR_BGR2RGB), np.uint8)


def quoted(text: str) -> str:
    """Somebody else's string, fit for one line of a log."""
    return repr(text[:40])


class NoteTeller:
    """Logs the notes of many pictures: each kind with the first picture that has it."""

    def __init__(self, log: logging.Logger) -> None:
        self._log, self._told = log, set[str]()

    def tell(self, name: str, picture: Picture) -> None:
        """Log what is new about the picture called `name`."""
        for note in picture.notes:
            if note.kind not in self._told:
                self._told.add(note.kind)
                self._log.warning("%s: %s", name, note.text)
