"""A stand-in for TF, for outputs without a node: it knows what it is told, and keeps what it is
asked to publish."""

from __future__ import annotations

from mtpano_model.robot.transforms import TransformBuffer
from mtpano_ros.mounting.state import GeometryState


class KnownTransforms:
    """buffer: add to it what TF is to know. published: [(parent, child, matrix, static)]."""

    def __init__(self) -> None:
        self.buffer = TransformBuffer()
        self.published = []

    def wait_for(self, target, source, stamp):
        return self.buffer.look_up(target, source, stamp)[0]

    look_up = property(lambda self: self.buffer.look_up)

    def publish(self, parent, child, turn, stamp, static=True):
        self.published.append((parent, child, turn, static))

    def close(self):
        pass


class StillMounting:
    def __init__(self) -> None:
        self.transforms, self.state = KnownTransforms(), GeometryState()
