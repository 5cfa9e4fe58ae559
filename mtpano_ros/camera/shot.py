"""Shots, which a camera source delivers (one for each moment), and their panoramas.

A shot is opened in the thread that prepares pictures, and only if no newer one has arrived by then.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from mtpano_model.inference.preprocess import preprocess
from mtpano_model.pictures.messages import read_message
from mtpano_model.pictures.picture import Note, Picture
from mtpano_model.pictures.resize import resize_nearest
from mtpano_model.pictures.size import Size
from mtpano_model.shots.video import video_panorama
from mtpano_model.video.decoder import VideoPicture
from mtpano_ros.camera.message_types import header_of

Pixels = NDArray[np.uint8]


class Panorama(ABC):
    """size: its own (H, W). order: of the channels of its pictures. notes: see `Note`."""

    size: Size
    order: Literal["rgb", "bgr"]
    notes: tuple[Note, ...] = ()

    @abstractmethod
    def fill(self, picture: Pixels) -> NDArray[np.bool_] | None:
        """Write the network's picture, uint8 [H, W, 3]; returns where any lens looks, bool [H, W].

        None: everywhere.
        """

    @abstractmethod
    def colors(self, size: Size) -> Pixels:
        """Colours [h, w, 3] for outputs of `size` (H, W), which may still have to be resized."""


class ImagePanorama(Panorama):
    """A panorama that the camera has stitched."""

    def __init__(self, picture: Picture) -> None:
        self._pixels, self._seen = picture.pixels, picture.seen
        self.size, self.order, self.notes = picture.size, picture.order, picture.notes

    def fill(self, picture: Pixels) -> NDArray[np.bool_] | None:
        size = picture.shape[0], picture.shape[1]
        preprocess(self._pixels, size, picture[None])
        return None if self._seen is None else resize_nearest(self._seen.view(np.uint8), size) > 0

    def colors(self, size: Size) -> Pixels:
        return self._pixels


class Mount(NamedTuple):
    """The pose of the panorama's frame in another frame, which others publish.

    turn: [3, 3], v_parent = turn @ v_panorama. offset: metres, the panorama's centre in the parent.
    """

    parent: str
    turn: NDArray[np.float64]
    offset: NDArray[np.float64]


class Shot(ABC):
    """header: stamp and frame of the panorama. mount: its pose, if the node publishes it."""

    def __init__(self, header: Header, mount: Mount | None = None) -> None:
        self.header, self.mount = header, mount

    @abstractmethod
    def open(self, lenient: bool, needed: Callable[[Size], Size]) -> Panorama:
        """Decode it; BadPicture if it cannot be used.

        lenient: accept panoramas that are not 2:1. needed: takes the picture's own (H, W) and
        returns the smallest that is useful.
        """


class MessageShot(Shot):
    """A panorama in an Image or CompressedImage."""

    def __init__(self, message: Any) -> None:
        super().__init__(message.header)
        self._message = message

    def open(self, lenient: bool, needed: Callable[[Size], Size]) -> Panorama:
        return ImagePanorama(read_message(self._message, lenient, needed))


class VideoShot(Shot):
    """A panorama from a video packet that is decoded already, except for its colours."""

    def __init__(self, message: Any, picture: VideoPicture) -> None:
        super().__init__(header_of(message))
        self._picture = picture

    def open(self, lenient: bool, needed: Callable[[Size], Size]) -> Panorama:
        return ImagePanorama(video_panorama(self._picture)(lenient))
