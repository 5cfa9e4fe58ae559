"""The forms in which the player publishes a picture: raw, JPEG, or video in three messages."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.messages import FFMPEG, FOXGLOVE
from mtpano_model.video.encoder import Codec, Encoder
from mtpano_ros.camera.message_types import message_class

Pixels = NDArray[np.uint8]
VideoName = Literal["h264", "h265"]
VideoMessage = Literal["compressed_image", "ffmpeg_packet", "compressed_video"]
_CODECS: dict[VideoName, Codec] = {"h264": "h264", "h265": "hevc"}
_KEY_FRAMES = 1.0  # seconds from one to the next


class Form(NamedTuple):
    """type: of the message. suffix: of the topic's name, as image_transport has it. make: RGB uint8
    [h, w, 3] -> message without a stamp, in the order in which they are sent."""

    type: Any
    suffix: str
    make: Callable[[Pixels], Any]


def raw_form() -> Form:
    """Image, rgb8."""
    return Form(Image, "", raw_message)


def jpeg_form(quality: int) -> Form:
    """CompressedImage, JPEG."""
    return Form(CompressedImage, "/compressed", lambda rgb: compressed_message(rgb, quality))


def video_form(codec: VideoName, message: VideoMessage, rate: float) -> Form:
    """H.264 or H.265 at `rate` pictures a second, with a key frame every second.

    MtpanoError where PyAV or the message's package is missing.
    """
    name = _CODECS[codec]
    encoder = Encoder(name, rate, max(1, round(rate * _KEY_FRAMES)))
    if message == "compressed_image":

        def image(rgb: Pixels) -> Any:
            made = CompressedImage(format=name)
            made.data = byte_array(encoder.encode(rgb))
            return made

        return Form(CompressedImage, "/compressed", image)
    if message == "ffmpeg_packet":
        kind = _video_class(FFMPEG)
        count = iter(range(2**63))

        def packet(rgb: Pixels) -> Any:
            made = kind(height=rgb.shape[0], width=rgb.shape[1], pts=next(count))
            made.encoding = f"{name};yuv420p;rgb8;rgb8"
            made.data = byte_array(encoder.encode(rgb))
            return made

        return Form(kind, "/ffmpeg", packet)
    kind = _video_class(FOXGLOVE)

    def video(rgb: Pixels) -> Any:
        made = kind(format=codec)
        made.data = byte_array(encoder.encode(rgb))
        return made

    return Form(kind, "/foxglove", video)


def stamp_message(message: Any, stamp: Any, frame_id: str) -> None:
    """Set a message's time and frame, wherever it has them."""
    if hasattr(message, "header"):
        message.header.stamp, message.header.frame_id = stamp, frame_id
    else:
        message.timestamp, message.frame_id = stamp, frame_id


def _video_class(name: str) -> Any:
    package, _, kind = name.split("/")
    return message_class(name, f"{kind} needs the ROS package {package}, which")


def raw_message(rgb: Pixels) -> Image:
    """rgb8 Image without padding."""
    message = Image(height=rgb.shape[0], width=rgb.shape[1], encoding="rgb8")
    message.step = 3 * rgb.shape[1]
    message.data = byte_array(np.ascontiguousarray(rgb).data)
    return message


def compressed_message(rgb: Pixels, quality: int) -> CompressedImage:
    """JPEG CompressedImage."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    done, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise MtpanoError(f"an image of shape {rgb.shape} cannot be encoded as JPEG")
    message = CompressedImage(format="jpeg")
    message.data = byte_array(jpeg.data)
    return message


def byte_array(data: bytes | memoryview) -> array:
    """The bytes as array('B'), the one type rclpy takes without checking every element."""
    made = array("B")
    made.frombytes(data)
    return made
