"""Decodes H.264 and H.265 packets through PyAV, and returns only undamaged pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.video.headers import H264Headers, H265Headers, Headers
from mtpano_model.video.library import pyav

_HEADERS: dict[str, Callable[[], Headers]] = {"h264": H264Headers, "hevc": H265Headers}
_TITLES = {"h264": "H.264", "hevc": "H.265"}
# Names in messages begin with these: codecs (CompressedVideo, CompressedImage) or encoders
# (FFMPEGPacket: libx264, hevc_nvenc, newer ones with further fields behind a semicolon).
_NAMES = {
    "h264": ("h264", "avc", "libx264", "x264", "h.264"),
    "hevc": ("hevc", "h265", "libx265", "x265", "h.265"),
}
_TELL_AFTER = 300  # packets without a key frame: ten seconds at 30 Hz
_B_FRAMES, _B_FRAMES_AMONG = 3, 64  # so many among so many packets are no damage
_BEGAN_AGAIN = 10**9  # ns: stamps that go back so far are those of a stream that began again
START_CODES = (b"\x00\x00\x01", b"\x00\x00\x00\x01")


def video_codec(name: str) -> str | None:
    """h264 or hevc from a message's `format` or `encoding`; None for another format."""
    plain = name.split(";")[0].strip().lower()
    for codec, starts in _NAMES.items():
        if plain.startswith(starts):
            return codec
    return None


@dataclass(frozen=True)
class VideoPicture:
    """A decoded, undamaged picture. stamp: that of its packet, nanoseconds."""

    stamp: int
    _frame: Any

    def rgb(self) -> NDArray[np.uint8]:
        """Colours, uint8 [h, w, 3], converted when called."""
        return np.asarray(self._frame.to_ndarray(format="rgb24"), np.uint8)


class Decoder:
    """Decodes one stream, one packet (a complete picture) at a time. Not thread-safe.

    It starts at a key frame. If a packet is missing, damaged or cannot be decoded, there is no
    picture until the next key frame. Packets whose stamp is not newer than the last are dropped,
    unless it is older by a second: then a bag or a clock has restarted, and so does the decoder.
    One B frame may be damage; with several the stream is refused until its parameters change.
    tell: called once for each fault that a user must correct, and again after such a change.

    counts: fed = shown + waiting (for a key frame, also after a gap) + damaged + late + refused
    (B frames) + empty (nothing, or only parameters). gaps: number of gaps in the stream.
    MtpanoError for a codec that cannot be decoded.
    """

    def __init__(self, name: str, tell: Callable[[str], None]) -> None:
        codec = video_codec(name)
        if codec is None:
            raise MtpanoError(
                f"video codec '{name[:40]}' is not supported, expected h264 or h265: set the "
                "encoder to one of them, without B frames"
            )
        av = pyav(f"decoding {_TITLES[codec]}")
        self._av, self._codec, self._tell = av, codec, tell
        try:
            self._context = self._opened()
        except (av.FFmpegError, ValueError) as error:
            raise MtpanoError(
                f"the PyAV here cannot decode {_TITLES[codec]} ({error}): install the wheels of "
                "PyPI with `pip install --force-reinstall av`"
            ) from error
        self._headers = _HEADERS[codec]()
        self._waiting, self._refused = True, False
        self._b_frames: deque[bool] = deque(maxlen=_B_FRAMES_AMONG)
        self._since_key = 0
        self._last: int | None = None
        self._told: set[str] = set()
        names = ("fed", "shown", "waiting", "damaged", "late", "refused", "empty", "gaps")
        self.counts = dict.fromkeys(names, 0)

    def feed(self, data: bytes, stamp: int) -> list[VideoPicture]:
        """The pictures that a packet completes, one or none; stamp: nanoseconds."""
        self.counts["fed"] += 1
        if not data:
            return self._nothing("empty")
        if self._last is not None and stamp <= self._last:
            if self._last - stamp < _BEGAN_AGAIN:
                return self._nothing("late")
            self._wait()
        self._last = stamp
        if not data.startswith(START_CODES):
            self._wait()
            self._tell_once(
                "form",
                f"a packet of {len(data)} bytes does not begin with a start code, expected Annex "
                f"B {_TITLES[self._codec]}: set the encoder to a byte stream",
            )
            return self._nothing("damaged")
        packet = self._headers.read(data)
        if packet.setup:
            self._refused = False
            self._b_frames.clear()
            self._told.clear()
        is_b = packet.b and not (packet.gap and self._codec == "h264")
        self._b_frames.append(is_b)
        if sum(self._b_frames) >= _B_FRAMES:
            self._refused = True
            self._tell_once(
                "b",
                f"the {_TITLES[self._codec]} stream has B frames, which come out of order and "
                "late: turn them off in the encoder (bf=0, tune=zerolatency)",
            )
        if self._refused:
            self._wait()
            return self._nothing("refused")
        if packet.key:
            self._begin()
        elif packet.gap and not self._waiting:
            self.counts["gaps"] += 1
            self._wait()
        elif is_b:
            self._wait()
        if self._waiting and packet.picture:
            return self._nothing("waiting")
        return self._decoded(data, stamp, packet.picture)

    def _decoded(self, data: bytes, stamp: int, has_picture: bool) -> list[VideoPicture]:
        packet = self._av.Packet(data)
        packet.pts = packet.dts = stamp
        try:
            frames = self._context.decode(packet)
        except self._av.FFmpegError:
            self._wait()
            return self._nothing("damaged")
        if not has_picture:
            return self._nothing("empty")
        if len(frames) != 1 or frames[0].is_corrupt or frames[0].pts != stamp:
            self._wait()
            return self._nothing("damaged")
        self.counts["shown"] += 1
        return [VideoPicture(stamp, frames[0])]

    def _opened(self) -> Any:
        context = self._av.CodecContext.create(self._codec, "r")
        # More threads hold back one picture each.
        context.thread_count = 1
        context.thread_type = "NONE"
        context.options = {"flags": "+low_delay", "err_detect": "explode+bitstream+buffer+crccheck"}
        return context

    def _begin(self) -> None:
        """Start at a key frame with a new decoder state."""
        if self._waiting:
            self._context = self._opened()
        self._waiting, self._since_key = False, 0

    def _wait(self) -> None:
        self._waiting = True

    def _nothing(self, reason: str) -> list[VideoPicture]:
        self.counts[reason] += 1
        if reason == "waiting":
            self._since_key += 1
            if self._since_key == _TELL_AFTER:
                self._tell_once(
                    "key",
                    f"{_TELL_AFTER} packets of {_TITLES[self._codec]} came without a key frame, "
                    "without which nothing can be decoded: set the encoder's key frame interval "
                    "(gop_size) to a second or less",
                )
        return []

    def _tell_once(self, about: str, sentence: str) -> None:
        if about not in self._told:
            self._told.add(about)
            self._tell(sentence)
