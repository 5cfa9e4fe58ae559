"""Cameras that are read by the player itself: RTSP and other addresses, and UVC devices.

A picture is stamped with the best estimate of when it was taken: its own time in the stream, which
is exact but begins anywhere, plus the smallest delay with which pictures have arrived.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.pictures.size import Size
from mtpano_model.video.decoder import START_CODES, Decoder, video_codec
from mtpano_model.video.library import pyav

log = logging.getLogger(__name__)

_DEVICE = re.compile(r"(?:/dev/video|uvc:)([0-9]{1,3})")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_PATIENCE = 5.0  # seconds without an answer or a picture
_AGAIN = 1.0  # seconds until the next try to connect
_DRIFT = 1e-4  # seconds a second by which two clocks may drift apart


class Taken(NamedTuple):
    """A picture, RGB uint8 [h, w, 3], and when it was taken, in nanoseconds of `clock`."""

    rgb: NDArray[np.uint8]
    stamp: int


def is_live(place: str) -> bool:
    """Whether it names a camera: an address such as rtsp://..., /dev/video0 or uvc:0."""
    return bool(_DEVICE.fullmatch(place) or _ADDRESS.match(place))


class CaptureClock:
    """When pictures were taken, from their own times and when they arrived.

    It begins anew where either clock was set: no picture is delayed by as much as _PATIENCE.
    """

    def __init__(self) -> None:
        self._delay: int | None = None
        self._arrived = self._last = 0

    def stamp(self, own: int | None, arrived: int) -> int:
        """Nanoseconds, growing unless a clock was set back. own: of the picture's own clock, None
        where it has none."""
        taken = arrived
        if own is not None:
            delay = arrived - own
            if self._delay is not None and abs(delay - self._delay) > _PATIENCE * 1e9:
                self._delay, self._last = None, 0
            if self._delay is not None:
                drifted = self._delay + round(_DRIFT * (arrived - self._arrived))
                delay = min(delay, drifted)
            self._delay, self._arrived = delay, arrived
            taken = own + delay
        self._last = max(taken, self._last + 1)
        return self._last


def live_pictures(
    place: str, stop: threading.Event, clock: Callable[[], int], size: Size | None = None
) -> Iterator[Taken]:
    """Pictures until `stop` is set; a camera that is lost is connected to again.

    clock: nanoseconds. size: (H, W) that a device is asked for. MtpanoError where it cannot be
    opened the first time.
    """
    device = _DEVICE.fullmatch(place)
    name = re.sub(r"//[^/]*@", "//", place)  # no password in a log
    was_open = told = False
    while not stop.is_set():
        pictures = (
            _device_pictures(int(device[1]), clock, size)
            if device
            else _stream_pictures(place, name, clock)
        )
        problem = "it ended"
        try:
            for taken in pictures:
                if told:
                    log.warning("%s: connected again", name)
                was_open, told = True, False
                yield taken
                if stop.is_set():
                    return
        except MtpanoError as error:
            if not was_open:
                raise
            problem = str(error)
        if not was_open:
            raise MtpanoError(f"'{name}' ended without a whole picture: is it a video stream?")
        if not told:
            told = True
            log.warning("%s: %s; trying to connect again every %g s", name, problem, _AGAIN)
        stop.wait(_AGAIN)


def _device_pictures(number: int, clock: Callable[[], int], size: Size | None) -> Iterator[Taken]:
    capture = cv2.VideoCapture(number, cv2.CAP_V4L2)
    try:
        if not capture.isOpened():
            raise MtpanoError(
                f"the camera /dev/video{number} cannot be opened: is it plugged in, unused, and is "
                "this user in the group video?"
            )
        # Few devices have more than a few pictures a second of a raw panorama.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        if size is not None:
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[0])
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[1])
        times = CaptureClock()
        while True:
            is_read, bgr = capture.read()
            if not is_read:
                raise MtpanoError(f"the camera /dev/video{number} gives no picture any more")
            own = round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
            stamp = times.stamp(own if own > 0 else None, clock())
            yield Taken(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8), stamp)
    finally:
        capture.release()


def _stream_pictures(address: str, name: str, clock: Callable[[], int]) -> Iterator[Taken]:
    av = pyav(f"reading '{name}'")
    # Over UDP pictures lose parts.
    options = {"rtsp_transport": "tcp"} if address.lower().startswith("rtsp") else {}
    try:
        with av.open(address, options=options, timeout=(_PATIENCE, _PATIENCE)) as container:
            if not container.streams.video:
                raise MtpanoError(f"'{name}' has no video, expected a camera's stream")
            stream = container.streams.video[0]
            times = CaptureClock()
            decoder = None
            codec = video_codec(stream.codec_context.name)
            packets: Iterator[Any] = (packet for packet in container.demux(stream) if packet.size)
            if codec is not None:
                decoder = Decoder(codec, lambda text: log.warning("%s: %s", name, text))
                setup = stream.codec_context.extradata or b""
                if setup and not setup.startswith(START_CODES):
                    # RTMP and most containers have lengths in the place of start codes.
                    change = av.BitStreamFilterContext(f"{codec}_mp4toannexb", stream)
                    packets = chain.from_iterable(map(change.filter, packets))
            for packet in packets:
                own = None
                if packet.pts is not None and packet.time_base is not None:
                    own = round(packet.pts * packet.time_base * 10**9)
                stamp = times.stamp(own, clock())
                if decoder is None:
                    for frame in packet.decode():
                        yield Taken(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), stamp)
                    continue
                data = bytes(packet)
                setup = stream.codec_context.extradata or b""
                if packet.is_keyframe and setup.startswith(START_CODES):
                    data = setup + data  # which RTSP gives beside the stream
                for picture in decoder.feed(data, stamp):
                    yield Taken(picture.rgb(), stamp)
    except av.error.ProtocolNotFoundError as error:
        raise MtpanoError(
            f"'{name}' cannot be read: FFmpeg knows no addresses that begin with "
            f"{name.partition(':')[0]}:, so copy it to this machine and give the copy"
        ) from error
    except (av.FFmpegError, OSError, ValueError) as error:
        why = one_line(error).replace(address, name)
        raise MtpanoError(
            f"'{name}' cannot be read ({why}): check the address, the user's name and "
            "password, and that the camera is reachable"
        ) from error
