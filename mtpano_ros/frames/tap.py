"""One topic of the camera: its subscription, the thread that takes its messages, its watch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.subscription import Subscription

from mtpano_model.errors import MtpanoError
from mtpano_ros.camera.camera_thread import CameraThread, NoExecutor
from mtpano_ros.camera.message_types import picture_type
from mtpano_ros.camera.source import Endpoint
from mtpano_ros.topics import COMPRESSED_IMAGE, IMAGE, overridable, subscription_events
from mtpano_ros.watch.image_watch import ImageWatch


class Tap:
    """topic: its full name. subscription: None until the type of its messages is known.

    take: called with each message; failed: where rclpy cannot make a message of what came.
    """

    def __init__(
        self,
        node: Node,
        endpoint: Endpoint,
        take: Callable[[Any], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._node, self._endpoint, self._take, self._failed = node, endpoint, take, failed
        self.topic = node.resolve_topic_name(endpoint.name)
        self.watch = ImageWatch(node, self.topic, endpoint.type, endpoint.of_rig)
        self.subscription: Subscription | None = None
        self._thread: CameraThread | None = None

    def connect(self) -> str:
        """Subscribe, once somebody tells the type; the reason where no type of theirs will do.

        It raises what the middleware or a qos_override refuses.
        """
        kind = self._endpoint.type
        if self.subscription is not None:
            return ""
        if kind is None:
            infos = self._node.get_publishers_info_by_topic(self.topic)
            try:
                kind = picture_type(self.topic, [info.topic_type for info in infos])
            except MtpanoError as error:
                return str(error)
            if kind is None:
                return ""
            self.watch.expect(kind)
        self.subscription = self._node.create_subscription(
            kind,
            self._endpoint.name,
            self._noted,
            (IMAGE if kind is IMAGE.type else COMPRESSED_IMAGE).qos,
            callback_group=NoExecutor(),
            event_callbacks=subscription_events(),
            qos_overriding_options=overridable(),
        )
        self._thread = CameraThread(self._node, self.subscription, self._noted, self._failed)
        self._node.get_logger().info(f"listening to {self.topic}")
        return ""

    def close(self) -> None:
        """Unsubscribe; no message is taken any more when this returns."""
        if self._thread is not None:
            self._thread.stop()
        if self.subscription is not None:
            self._node.destroy_subscription(self.subscription)
        self._thread = self.subscription = None

    def _noted(self, message: Any) -> None:
        self.watch.seen()
        self._take(message)
