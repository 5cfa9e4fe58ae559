"""The interface of camera sources, and the source of one panorama topic."""

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
    """A topic to subscribe to. type: message class; None: the type with which it is published.

    name: before the node's remappings. of_rig: whether it comes from a rig file.
    """

    name: str
    type: Any = None
    of_rig: bool = False


class Surroundings(NamedTuple):
    """The services of the node for an active source.

    network: (H, W) of the network's picture. deliver: called with every shot, by one thread at a
    time. tell: logs a rate-limited warning, by subject. look_up: looks transforms up.
    """

    node: Node
    network: Size
    deliver: Callable[[Shot], None]
    tell: Tell
    look_up: LookUp


class Source(ABC):
    """Exists from configure to cleanup; takes messages between `begin` and `end`.

    state: for the camera's status in /diagnostics.
    """

    def __init__(self) -> None:
        self.state = CameraState()

    @abstractmethod
    def endpoints(self, node: Node) -> tuple[Endpoint, ...]:
        """The topics to subscribe to."""

    @abstractmethod
    def begin(self, around: Surroundings) -> None:
        """Prepare for messages; called before the first `take`."""

    @abstractmethod
    def take(self, endpoint: Endpoint, message: Any) -> None:
        """Process a message of an endpoint, always in that endpoint's own thread."""

    def end(self) -> None:
        """Stop; called after the last `take`."""
        self.state.rest()


class ImageSource(Source):
    """A topic of panoramas, as pictures or video. transport: the parameter image_transport."""

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
    """The packet counts of all streams together, by the keys of /diagnostics."""
    total = sum((stream.counts for stream in streams), Counter[str]())
    return Counter({f"packets_{name}": total[name] for name in COUNTS})
