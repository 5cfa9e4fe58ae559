"""Looks transforms up in TF, and publishes those of the node's own frames.

If neither tf2_ros nor tf2_msgs is installed, a look-up fails with a sentence, and the node's own
frames are written to the log. Most nodes need neither, so `tf` and geometry_msgs are imported at
the first use.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.publisher import Publisher

from mtpano_model.robot.transforms import NotYet, Transform, frame_text, quaternion_of

if TYPE_CHECKING:
    from geometry_msgs.msg import TransformStamped

    from mtpano_ros.mounting.tf import Listener

# How long an image waits for its transform, once.
PATIENCE_SECONDS = 0.1
_POLL_SECONDS = 0.005
# Frames that are remembered: a camera that names its frame anew for every image must not make the
# node, or the message of static frames, grow for ever.
_MOST_FRAMES = 100


class Transforms:
    """Every method may be called from any thread; it listens from the first look-up on."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._lock = threading.Lock()
        self._listener: Listener | None = None
        self._missing: set[tuple[str, str]] = set()
        # Static frames of ours: how each lies in its parent, and the message that said so.
        self._own: dict[str, tuple[tuple[str, bytes, bytes], TransformStamped]] = {}
        self._publishers: dict[str, Publisher] = {}
        self._told: set[str] = set()

    def look_up(self, target: str, source: str, stamp: float | None) -> tuple[Transform, float]:
        """The transform of points in `source` to `target` at `stamp` (s), and its time.

        stamp: None for the newest. TransformError if it is unknown, NotYet if it may still arrive.
        """
        with self._lock:
            if self._listener is None:
                from mtpano_ros.mounting.tf import listen

                self._listener = listen(self._node)
            listener = self._listener
        return listener.look_up(target, source, stamp)

    def wait_for(self, target: str, source: str, stamp: float) -> Transform:
        """As `look_up`, but waits a little, since an image may arrive before its transform.

        After a wait in vain, it does not wait again until the two frames have been connected.
        """
        key = target, source
        deadline = time.monotonic() + (0.0 if key in self._missing else PATIENCE_SECONDS)
        while True:
            try:
                found, _ = self.look_up(target, source, stamp)
            except NotYet:
                if time.monotonic() >= deadline:
                    if len(self._missing) >= _MOST_FRAMES:
                        self._missing.clear()
                    self._missing.add(key)
                    raise
                time.sleep(_POLL_SECONDS)
            else:
                self._missing.discard(key)
                return found

    def publish(
        self,
        parent: str,
        child: str,
        turn: NDArray[Any],
        stamp: Time,
        static: bool = True,
        offset: NDArray[Any] | None = None,
    ) -> None:
        """Publish the pose of a frame of the node in its parent, on /tf_static or /tf.

        turn: [3, 3], v_parent = turn @ v_child. offset: metres, its origin in the parent; None: the
        parent's own. A static transform is sent only when it is new or has changed.
        """
        lies = parent, turn.tobytes(), b"" if offset is None else offset.tobytes()
        if not parent or (static and child in self._own and self._own[child][0] == lies):
            return
        from geometry_msgs.msg import Quaternion, TransformStamped, Vector3

        from mtpano_ros.mounting import tf

        x, y, z, w = quaternion_of(turn)
        message = TransformStamped(child_frame_id=child)
        message.header.stamp, message.header.frame_id = stamp, parent
        x_there, y_there, z_there = (0.0, 0.0, 0.0) if offset is None else map(float, offset)
        message.transform.translation = Vector3(x=x_there, y=y_there, z=z_there)
        message.transform.rotation = Quaternion(x=x, y=y, z=z, w=w)
        if static:
            self._own[child] = lies, message
            if len(self._own) > _MOST_FRAMES:
                del self._own[next(iter(self._own))]
        if tf.TFMessage is None:
            self._tell_absence(message)
            return
        # A late subscriber gets the last message alone, so that it holds all of them.
        together = [sent for _, sent in self._own.values()] if static else [message]
        self._publisher(static).publish(tf.TFMessage(transforms=together))

    def close(self) -> None:
        """Destroy the subscriptions and publishers."""
        with self._lock:
            if self._listener is not None:
                self._listener.close()
            self._listener = None
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers.clear()
        self._own.clear()

    def _publisher(self, static: bool) -> Publisher:
        from mtpano_ros.mounting.tf import tf_topics

        topic = tf_topics()[static]
        if topic.name not in self._publishers:
            self._publishers[topic.name] = topic.publisher(self._node)
        return self._publishers[topic.name]

    def _tell_absence(self, message: TransformStamped) -> None:
        child, turn = message.child_frame_id, message.transform.rotation
        if child not in self._told and len(self._told) < _MOST_FRAMES:
            self._told.add(child)
            parent = frame_text(message.header.frame_id)
            self._node.get_logger().info(
                f"frame {frame_text(child)} is not published, since tf2_msgs is not installed: it "
                f"turns about the origin of {parent} by the quaternion (x y z w) "
                f"{turn.x:g} {turn.y:g} {turn.z:g} {turn.w:g}"
            )
