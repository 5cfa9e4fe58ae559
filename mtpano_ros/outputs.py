"""The node's publishers, and how each is filled from a frame. One without subscribers is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Header

from mtpano_model.geometry.sphere import frame_matrix
from mtpano_model.inference.colors import colorize_depth, colorize_labels, colorize_normals
from mtpano_model.inference.frame import Frame
from mtpano_model.inference.model_info import ModelInfo
from mtpano_model.inference.resize import resize_image
from mtpano_ros import messages
from mtpano_ros.image_input import Panorama
from mtpano_ros.parameters import Parameters
from mtpano_ros.point_cloud import CloudPacker, cloud_size, voxel_choice
from mtpano_ros.serialized import Buffer, publish
from mtpano_ros.topics import (
    CAMERA_INFO,
    DEPTH,
    DEPTH_COLOR,
    NORMALS,
    NORMALS_COLOR,
    OUTPUTS,
    POINTS,
    SEMANTIC,
    SEMANTIC_COLOR,
    Topic,
    label_info_topic,
    overridable,
    publisher_events,
)


@dataclass
class Result:
    """What is sent for one image."""

    header: Header
    frame: Frame
    panorama: Panorama
    parameters: Parameters


# A message, and the buffer that holds its data unless it carries them itself.
Filled = tuple[Any, Buffer | None]


class Outputs:
    """All publishers of one configured node. One thread at a time may call `frame` and `send`."""

    def __init__(self, node: Node, info: ModelInfo) -> None:
        self._node = node
        self._info = info
        self._publishers: dict[Topic, Publisher] = {}
        self._buffers: dict[Topic, Buffer] = {topic: Buffer() for topic in OUTPUTS}
        self._millimetres, self._body_normals = Buffer(), Buffer()
        self._packer = CloudPacker()
        self._picture: NDArray[np.uint8] | None = None
        self._fill: dict[Topic, Callable[[Result], Filled]] = {
            CAMERA_INFO: self._camera_info,
            DEPTH: self._depth,
            NORMALS: self._normals,
            SEMANTIC: self._semantic,
            POINTS: self._points,
            DEPTH_COLOR: self._depth_color,
            NORMALS_COLOR: self._normals_color,
            SEMANTIC_COLOR: self._semantic_color,
        }
        self._label_info_topic = label_info_topic()
        if self._label_info_topic is None:
            node.get_logger().info(
                "label_info is not published: vision_msgs is not installed "
                "(apt install ros-$ROS_DISTRO-vision-msgs)",
                once=True,
            )
        try:
            for topic in (*OUTPUTS, self._label_info_topic):
                if topic is not None:
                    self._publishers[topic] = self._create(topic)
        except Exception:  # of a qos_override: nothing may stay advertised
            self.close()
            raise

    @property
    def publishers(self) -> list[Publisher]:
        """Every publisher, for those who look at their subscribers."""
        return list(self._publishers.values())

    def wanted(self) -> bool:
        """Whether anybody subscribes to an output."""
        return any(self._has_subscriber(topic) for topic in OUTPUTS)

    def wants_colors(self) -> bool:
        """Whether the camera's own colours will be needed at the outputs' size."""
        return self._has_subscriber(POINTS)

    def send_label_info(self, header: Header) -> None:
        """Say which id means what; late subscribers get it too."""
        if self._label_info_topic is not None:
            publisher = self._publishers[self._label_info_topic]
            publisher.publish(messages.label_info(header, self._info.classes))

    def frame(self, size: tuple[int, int]) -> Frame:
        """A frame to fill: its arrays are the memory of the messages that will be sent."""
        return Frame(
            depth=self._buffers[DEPTH].view(size, np.float32),
            normals=self._buffers[NORMALS].view((*size, 3), np.float32),
            labels=self._buffers[SEMANTIC].view(size, self._label_type),
        )

    def send(self, result: Result) -> None:
        """Publish what has subscribers. `result.frame` must come from `frame`."""
        for topic in OUTPUTS:
            if self._has_subscriber(topic):
                message, buffer = self._fill[topic](result)
                if buffer is None:
                    self._publishers[topic].publish(message)
                else:
                    publish(self._publishers[topic], message, buffer)

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers.clear()

    # --- one method a topic ---------------------------------------------------------------------

    def _camera_info(self, result: Result) -> Filled:
        return messages.camera_info(result.header, result.frame.size), None

    def _depth(self, result: Result) -> Filled:
        size, buffer = result.frame.size, self._buffers[DEPTH]
        if result.parameters.depth_encoding == "16UC1":
            buffer = self._millimetres
            messages.millimetres(result.frame.depth, buffer.view(size, np.uint16))
        encoding = result.parameters.depth_encoding
        return messages.image_message(result.header, encoding, size, buffer), buffer

    def _normals(self, result: Result) -> Filled:
        size, buffer = result.frame.size, self._buffers[NORMALS]
        if result.parameters.frame_convention == "body":
            buffer = self._body_normals
            turn = frame_matrix("optical", "body").astype(np.float32)
            cv2.transform(result.frame.normals, turn, dst=buffer.view((*size, 3), np.float32))
        return messages.image_message(result.header, "32FC3", size, buffer), buffer

    def _semantic(self, result: Result) -> Filled:
        size, buffer = result.frame.size, self._buffers[SEMANTIC]
        encoding = "mono8" if self._label_type is np.uint8 else "mono16"
        return messages.image_message(result.header, encoding, size, buffer), buffer

    def _points(self, result: Result) -> Filled:
        frame, parameters, buffer = result.frame, result.parameters, self._buffers[POINTS]
        stride = parameters.cloud_stride
        size = cloud_size(frame.size, stride)
        points = buffer.view((*size, 8), np.float32)
        self._packer.pack(
            frame,
            self._picture_at(result.panorama.pixels, frame.size),
            result.panorama.order,
            points,
            parameters.frame_convention,
            stride,
        )
        if not parameters.cloud_voxel_size:
            return messages.cloud_message(result.header, size), buffer
        flat = points.reshape(-1, 8)
        chosen = flat[voxel_choice(flat, parameters.cloud_voxel_size)]
        return messages.dense_cloud_message(result.header, chosen), None

    def _depth_color(self, result: Result) -> Filled:
        return self._color(
            DEPTH_COLOR, result, lambda out: colorize_depth(result.frame.depth, out=out)
        )

    def _normals_color(self, result: Result) -> Filled:
        return self._color(
            NORMALS_COLOR, result, lambda out: colorize_normals(result.frame.normals, out=out)
        )

    def _semantic_color(self, result: Result) -> Filled:
        palette = self._info.classes.palette
        return self._color(
            SEMANTIC_COLOR,
            result,
            lambda out: colorize_labels(result.frame.labels, palette, out=out),
        )

    def _color(self, topic: Topic, result: Result, paint: Callable[[Any], Any]) -> Filled:
        size, buffer = result.frame.size, self._buffers[topic]
        paint(buffer.view((*size, 3), np.uint8))
        return messages.image_message(result.header, "rgb8", size, buffer), buffer

    # --- helpers --------------------------------------------------------------------------------

    @property
    def _label_type(self) -> type:
        return np.uint8 if self._info.unlabelled == 255 else np.uint16

    def _picture_at(self, pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
        if pixels.shape[:2] == size:
            return pixels
        if self._picture is None or self._picture.shape[:2] != size:
            self._picture = np.empty((*size, 3), np.uint8)
        return resize_image(pixels, size, self._picture)

    def _has_subscriber(self, topic: Topic) -> bool:
        return self._publishers[topic].get_subscription_count() > 0

    def _create(self, topic: Topic) -> Publisher:
        return self._node.create_publisher(
            topic.type,
            topic.name,
            topic.qos,
            event_callbacks=publisher_events(),
            qos_overriding_options=overridable(),
        )
