"""Where each millisecond of a frame goes: every step of the path alone, in one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.node import Node
from std_msgs.msg import Header

from benchmarks.robot import robot_steps
from benchmarks.timing import median_ms, median_wall_ms
from mtpano_model.inference import Estimator, Frame, ValueRules
from mtpano_model.pictures.messages import read_message
from mtpano_ros.outputs.messages import cloud_message, image_message
from mtpano_ros.outputs.point_cloud import CloudPacker
from mtpano_ros.outputs.serialized import Buffer, publish
from mtpano_ros.outputs.table import IMAGE_TOPICS
from mtpano_ros.tools.forms import raw_message


def profile(
    estimator: Estimator, rgb: NDArray[np.uint8], size: tuple[int, int], domain: int
) -> dict[str, float]:
    """Step -> milliseconds, for one picture and outputs of `size` (H, W).

    CPU time of one thread, except for the network, which has threads of its own: there it is time
    that passes. Publishing ends in the middleware: without a subscriber nothing crosses over.
    """
    picture = raw_message(rgb)
    batch = estimator.preprocess(rgb)
    outputs = {name: array.copy() for name, array in estimator.infer(batch).items()}
    buffers = {name: Buffer() for name in ("depth", "normals", "semantic", "points")}
    frame = Frame(
        depth=buffers["depth"].view(size, np.float32),
        normals=buffers["normals"].view((*size, 3), np.float32),
        labels=buffers["semantic"].view(size, np.uint8),
    )
    wanted = ("depth", "normals", "labels")
    rules = ValueRules(depth_finish="off")  # it is a step of its own
    estimator.postprocess(outputs, size, rules, frame, wanted)  # the steps below copy depth
    points = buffers["points"].view((*size, 8), np.float32)
    colors = np.ascontiguousarray(np.broadcast_to(rgb[:1, :1], (*size, 3)))
    packer = CloudPacker()
    steps: dict[str, Callable[[], Any]] = {
        "read the image message": lambda: read_message(picture),
        "resize to the network": lambda: estimator.preprocess(rgb, batch),
        "labels, depth, normals at their size": lambda: estimator.postprocess(
            outputs, size, rules, frame, wanted
        ),
        "pack the cloud": lambda: packer.pack(frame, colors, "rgb", points),
        **robot_steps(estimator, outputs, frame, colors),
    }
    times = {"network": median_wall_ms(lambda: estimator.infer(batch))}
    with publishing_node(domain) as node:
        for topic, encoding in (
            ("depth", "32FC1"), ("normals", "32FC3"), ("semantic", "mono8"),
        ):  # fmt: skip
            message = image_message(Header(), encoding, size, buffers[topic])
            steps[f"publish {topic}"] = publishing(node, topic, message, buffers[topic])
        message = cloud_message(Header(), size)
        steps["publish points"] = publishing(node, "points", message, buffers["points"])
        for name, step in steps.items():
            times[name] = median_ms(step, repeats=15)
    return {name: round(value, 3) for name, value in times.items()}


def publishing(node: Node, name: str, message: Any, buffer: Buffer) -> Callable[[], None]:
    """A function that publishes the message with the node's QoS."""
    topic = IMAGE_TOPICS[name]
    publisher = node.create_publisher(topic.type, topic.name, topic.qos)
    return lambda: publish(publisher, message, buffer)


@contextmanager
def publishing_node(domain: int) -> Iterator[Node]:
    """A node in a domain where nobody listens."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = Node("profile", context=context)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.try_shutdown(context=context)
