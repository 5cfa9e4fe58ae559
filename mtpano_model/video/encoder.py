"""Encodes pictures as H.264 or H.265 packets through PyAV, as robots should send them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.size import size_text
from mtpano_model.video.library import pyav

Codec = Literal["h264", "hevc"]
_SLOWEST = Fraction(1, 1000)
_ENCODERS = {"h264": "libx264", "hevc": "libx265"}


class Encoder:
    """Encodes one stream of pictures of one size: Annex B, one packet a picture at once, no B
    frames, parameter sets with every key frame, and in H.265 a hash of every picture, without which
    damage inside a packet cannot be seen.

    rate: pictures per second. interval: pictures from one key frame to the next. quality: x264's
    and x265's constant rate factor, lower is better. MtpanoError if PyAV cannot encode.
    """

    def __init__(self, codec: Codec, rate: float, interval: int, quality: int = 20) -> None:
        av = pyav("encoding video")
        self._name, self._av = _ENCODERS[codec], av
        if self._name not in av.codecs_available:
            raise MtpanoError(
                f"the PyAV here has no encoder {self._name}: install the wheels of PyPI with "
                "`pip install --force-reinstall av`"
            )
        self._codec, self._rate = codec, max(Fraction(rate).limit_denominator(1000), _SLOWEST)
        self._interval, self._quality = interval, quality
        self._context: Any = None
        self._size = (0, 0)
        self._number = 0

    def encode(self, rgb: NDArray[np.uint8]) -> bytes:
        """The packet of a picture, uint8 [h, w, 3] RGB with even sides.

        Another size begins a new stream, with a key frame.
        """
        size = rgb.shape[0], rgb.shape[1]
        if size != self._size:
            if size[0] % 2 or size[1] % 2:
                raise MtpanoError(
                    f"a picture of {size_text(size)} (rows x columns) cannot be encoded as "
                    "video, expected even numbers: give another size"
                )
            self._context, self._size = self._opened(size), size
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame.pts, self._number = self._number, self._number + 1
        return b"".join(bytes(packet) for packet in self._context.encode(frame))

    def _opened(self, size: tuple[int, int]) -> Any:
        context: Any = self._av.CodecContext.create(self._name, "w")
        context.height, context.width = size
        context.pix_fmt, context.time_base = "yuv420p", 1 / self._rate
        context.gop_size, context.max_b_frames, context.thread_count = self._interval, 0, 1
        options = f"keyint={self._interval}:min-keyint={self._interval}:scenecut=0:bframes=0"
        options += ":repeat-headers=1"
        if self._codec == "hevc":
            options += ":hash=1:log-level=none:pools=1:frame-threads=1"
        key = f"{self._name.removeprefix('lib')}-params"
        context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "crf": str(self._quality),
            key: options,
        }
        return context
