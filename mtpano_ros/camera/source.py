"""Where panoramas come from: one topic of panoramas, or the topics of a rig's lenses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from rclpy.node import Node

from mtpano_model.pictures.size import Size
from mtpano_model.robot.transforms import Transform
from mtpano_model.video.messages import video_packet
from mtpano_ros.camera.shot import MessageShot, Shot, VideoShot
from mtpano_ros.camera.state import CameraState
from mtpano_ros.camera.video_stream import COUNTS, Tell, VideoStream
from mtpano_ros.topics import COMPRESSED_IMAGE, IMAGE

# (target, source, stamp or None for the newest) -> transform, for which time it holds.
LookUp = Callable[[str, str, float | None], tuple[Transform, float]]


class Endpoint(NamedTuple):
    """A topic to subscribe to. type: of its messages; None: whatever it is published with.

    name: as the node's remappings take it. of_rig: whether a rig file has it.
    """

    name: str
    type: Any = None
    of_rig: bool = False


class Surroundings(NamedTuple):
    """What a source is given while it is listened to.

    network: (H, W) of its picture. deliver: called with every shot, by one thread at a time. tell:
    logs a warning, by subject, but not too often. look_up: transforms.
    """

    node: Node
    network: Size
    deliver: Callable[[Shot], None]
    tell: Tell
    look_up: LookUp


class Source(ABC):
    """From configure to cleanup; between `begin` and `end` messages come.

    state: what /diagnostics says.
    """

    def __init__(self) -> None:
        self.state = CameraState()

    @abstractmethod
    def endpoints(self, node: Node) -> tuple[Endpoint, ...]:
        """The topics to listen to."""

    @abstractmethod
    def begin(self, around: Surroundings) -> None:
        """Messages will come from now on."""

    @abstractmethod
    def take(self, endpoint: Endpoint, message: Any) -> None:
        """A message of an endpoint, always in that endpoint's own thread."""

    def end(self) -> None:
        """None come any more."""
        self.state.rest()


class ImageSource(Source):
    """A topic of panoramas: pictures or video. transport: the parameter image_transport."""

    def __init__(self, transport: str) -> None:
        super().__init__()
        self._transport = transport
        self._around: Surroundings | None = None
        self._videos: tuple[VideoStream, ...] = ()

    def endpoints(self, node: Node) -> tuple[Endpoint, ...]:
        if self._transport == "raw":
            return (Endpoint(IMAGE.name, IMAGE.type),)
        if self._transport == "video":
            return (Endpoint(IMAGE.name),)
        # As image_transport has it: a remapping of `image` carries its compressed twin along.
        name = f"{node.resolve_topic_name(IMAGE.name)}/compressed"
        own = node.resolve_topic_name(COMPRESSED_IMAGE.name)
        if own != node.resolve_topic_name(COMPRESSED_IMAGE.name, only_expand=True):
            name = own  # remapped by its own name, which need not end in /compressed
        return (Endpoint(name, COMPRESSED_IMAGE.type),)

    def begin(self, around: Surroundings) -> None:
        self._around = around
        topics = tuple(around.node.resolve_topic_name(e.name) for e in self.endpoints(around.node))
        self.state = CameraState("image", topics, counts=self._counts)
        self._videos = (VideoStream(topics[0], self.state, around.tell),)

    def take(self, endpoint: Endpoint, message: Any) -> None:
        assert self._around is not None
        packet = video_packet(message)
        if packet is None:
            self._videos[0].still()
            self._around.deliver(MessageShot(message))
            return
        picture = self._videos[0].feed(packet)
        if picture is not None:
            self._around.deliver(VideoShot(message, picture))

    def _counts(self) -> Counter[str]:
        return packet_counts(self._videos)


def packet_counts(streams: Iterable[VideoStream]) -> Counter[str]:
    """Of all these together, by the keys of /diagnostics."""
    total = sum((stream.counts for stream in streams), Counter[str]())
    return Counter({f"packets_{name}": total[name] for name in COUNTS})
