"""Pinhole views of the panorama, each with the topics of a depth camera."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from mtpano_model.geometry.sphere import OPTICAL_FROM
from mtpano_model.graph.contract import label_type
from mtpano_model.graph.model_info import ModelInfo
from mtpano_model.pictures.size import Size
from mtpano_model.robot.views import View, ViewSampler, check_views
from mtpano_ros.outputs.base import COLORS, DEPTH, LABELS, NORMALS, Message, Output, Result
from mtpano_ros.outputs.messages import image_message, label_encoding
from mtpano_ros.outputs.placing import frame_named
from mtpano_ros.outputs.serialized import Buffer
from mtpano_ros.parameters.table import Parameters
from mtpano_ros.topics import Topic

# What each topic of a view needs. Depth without flying points needs normals.
_NEEDS = {
    "camera_info": frozenset[str](),
    "image": frozenset({COLORS}),
    "depth": frozenset({DEPTH, NORMALS}),
    "semantic": frozenset({LABELS}),
    "normals": frozenset({NORMALS}),
}


class Views(Output):
    """`views/NAME/...`: the views that `views.layout` names, none by default."""

    def __init__(self, model: ModelInfo, parameters: Parameters) -> None:
        super().__init__(model, parameters)
        options = parameters.views
        self._cameras = [_Camera(view, options.smooth, model) for view in options.views]
        self.note = "; ".join(check_views(options.views))
        self.topics = tuple(topic for camera in self._cameras for topic in camera.topics.values())

    def needs(self, wanted: Collection[Topic]) -> frozenset[str]:
        return frozenset[str]().union(*(_NEEDS[one.name.rpartition("/")[2]] for one in wanted))

    def fill(self, result: Result, wanted: Collection[Topic]) -> Iterable[Message]:
        headers = {
            camera: camera.header(result)
            for camera in self._cameras
            if any(topic in wanted for topic in camera.topics.values())
        }
        # One kind after the other: what all views are taken from then stays in the cache.
        for kind in _NEEDS:
            asked = [camera for camera in headers if camera.topics[kind] in wanted]
            if not asked:
                continue
            source = asked[0].source(kind, result)
            for camera in asked:
                yield camera.message(kind, headers[camera], source, result.panorama.order)

    def message_bytes(self, size: Size, parameters: Parameters) -> int:
        return max((12 * h * w for h, w in (c.view.size for c in self._cameras)), default=0)


class _Camera:
    def __init__(self, view: View, smooth: bool, model: ModelInfo) -> None:
        self.view = view
        self._sampler = ViewSampler(view, smooth, compiled=None)
        self._label_type = label_type(len(model.classes))
        self._buffers = {kind: Buffer() for kind in _NEEDS}
        self.topics = view_topics(view.name)

    def header(self, result: Result) -> Header:
        """The header in the view's frame, whose transform this publishes."""
        parent, convention = result.header.frame_id, result.parameters.outputs.frame_convention
        child = frame_named(parent, self.view.name)
        turn = OPTICAL_FROM[convention].T @ self.view.rotation
        result.mounting.transforms.publish(parent, child, turn, result.header.stamp)
        return Header(stamp=result.header.stamp, frame_id=child)

    def source(self, kind: str, result: Result) -> Any:
        """The panorama's array from which all views of this kind are sampled."""
        if kind == "image":
            return self._sampler.source(result.picture)
        if kind == "depth":
            return result.solid.depth
        return {"semantic": result.frame.labels, "normals": result.frame.normals}.get(kind)

    def message(self, kind: str, header: Header, source: Any, order: str) -> Message:
        """Of one kind, out of the panorama's array of that kind; order: of its colours."""
        topic, sampler = self.topics[kind], self._sampler
        if kind == "camera_info":
            return Message(topic, view_info(header, self.view))
        if kind == "image":
            encoding = f"{order}8"
            sampler.image(source, self._out(kind, np.uint8, 3))
        elif kind == "depth":
            encoding = "32FC1"
            sampler.depth(source, self._out(kind, np.float32))
        elif kind == "semantic":
            encoding = label_encoding(self._label_type)
            sampler.labels(source, self._out(kind, self._label_type))
        else:
            encoding = "32FC3"
            sampler.normals(source, self._out(kind, np.float32, 3))
        buffer = self._buffers[kind]
        return Message(topic, image_message(header, encoding, self.view.size, buffer), buffer)

    def _out(self, kind: str, dtype: Any, channels: int = 0) -> Any:
        shape = (*self.view.size, channels) if channels else self.view.size
        return self._buffers[kind].view(shape, dtype)


def view_topics(name: str) -> dict[str, Topic]:
    """The topics of a view of this name, by kind."""
    types = {kind: CameraInfo if kind == "camera_info" else Image for kind in _NEEDS}
    return {kind: Topic(f"views/{name}/{kind}", one, display="") for kind, one in types.items()}


def view_info(header: Header, view: View) -> CameraInfo:
    """A pinhole without distortion, its own rectified image."""
    height, width = view.size
    matrix = view.camera_matrix
    projection = np.hstack([matrix, np.zeros((3, 1))])
    return CameraInfo(
        header=header,
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=matrix.ravel().tolist(),
        r=np.eye(3).ravel().tolist(),
        p=projection.ravel().tolist(),
    )
