"""The pictures of a rig's lenses at one moment, and the panorama that is composed of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from std_msgs.msg import Header

from mtpano_model.pictures.messages import read_lens
from mtpano_model.pictures.picture import BadPicture, Picture
from mtpano_model.pictures.size import Size
from mtpano_model.shots.video import lens_picture
from mtpano_model.video.decoder import VideoPicture
from mtpano_model.video.messages import stamp_of
from mtpano_ros.camera.composing import Composing
from mtpano_ros.camera.message_types import header_of
from mtpano_ros.camera.shot import Mount, Panorama, Pixels, Shot
from mtpano_ros.camera.state import CameraState
from mtpano_ros.camera.video_stream import Tell


class LensPicture:
    """A lens's message. video: its decoded picture. stamp: ns; the present time if it has none."""

    def __init__(self, message: Any, video: VideoPicture | None) -> None:
        self.stamp = stamp_of(message) or time.time_ns()
        self._message, self._video = message, video

    @property
    def header(self) -> Header:
        """The message's header."""
        return header_of(self._message)

    def open(self) -> Picture:
        """Decode it, whatever its shape; BadPicture if that fails."""
        if self._video is None:
            return read_lens(self._message)
        return lens_picture(self._video)


class RigShot(Shot):
    """parts: pictures by topic. One that cannot be used is reported and left out."""

    def __init__(
        self,
        header: Header,
        mount: Mount | None,
        parts: Mapping[str, LensPicture],
        composing: Composing,
        state: CameraState,
        tell: Tell,
    ) -> None:
        super().__init__(header, mount)
        self._parts, self._composing, self._state, self._tell = parts, composing, state, tell

    def open(self, lenient: bool, needed: Callable[[Size], Size]) -> Panorama:
        pictures: dict[str, Picture] = {}
        refused: BadPicture | None = None
        for topic, part in self._parts.items():
            about = f"picture {topic}"
            try:
                picture = part.open()
                self._composing.check(topic, picture.pixels)
            except BadPicture as error:
                refused = error
                self._state.problems[about] = f"pictures of {topic} are not used: {error}"
                self._tell(about, self._state.problems[about])
            else:
                self._state.problems.pop(about, None)
                pictures[topic] = picture
        if refused is not None and not pictures:
            raise refused
        for sentence in self._composing.narrow({t: p.pixels for t, p in pictures.items()}):
            if sentence not in self._state.problems:
                self._state.problems[sentence] = sentence
                self._tell(sentence, sentence)
        return RigPanorama(pictures, self._composing, self._state)


class RigPanorama(Panorama):
    """The panorama of a moment, composed only at the sizes that are needed."""

    def __init__(
        self, pictures: Mapping[str, Picture], composing: Composing, state: CameraState
    ) -> None:
        self.size, self._composing, self._state = composing.size, composing, state
        orders = {picture.order for picture in pictures.values()}
        self.order = orders.pop() if len(orders) == 1 else "rgb"
        self._pixels = {
            topic: picture.pixels if picture.order == self.order else picture.rgb
            for topic, picture in pictures.items()
        }

    def fill(self, picture: Pixels) -> NDArray[np.bool_]:
        seen = self._composing.fill(self._pixels, self.order, picture)
        self._state.unseen_share = 1 - float(seen.mean())
        return seen

    def colors(self, size: Size) -> Pixels:
        return self._composing.colors(self._pixels, self.order, size)
