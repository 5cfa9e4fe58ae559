"""The node that people write: everything in the callback, libraries' defaults throughout.

    python -m benchmarks.naive_node CHECKPOINT HEIGHTxWIDTH

PyTorch eager in float32, conversion as cv_bridge does it, the cloud as a structured array and the
message fill as sensor_msgs_py does it, default reliable QoS with a queue of 10. Nothing in it is
made slow on purpose: it uses the same weights, network size, outputs and output size as ours,
numpy and OpenCV throughout, and the array.array fill that is the fast one.
"""

from __future__ import annotations

import sys
from array import array

import cv2
import numpy as np
import rclpy
import torch
from numpy.typing import NDArray
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import Header
from torch.nn.functional import interpolate

from mtpano_model.network.pretrained import from_pretrained
from mtpano_model.pictures.output_size import resolve_output_size

POINT = np.dtype(
    [(name, np.float32) for name in ("x", "y", "z", "rgb", "normal_x", "normal_y", "normal_z")]
    + [("label", np.uint32)]
)
FIELDS = [
    PointField(name=name, offset=4 * i, datatype=6 if name == "label" else 7, count=1)
    for i, name in enumerate(POINT.names or ())
]


class NaiveNode(Node):
    """Image in; depth, normals, semantic, points and camera_info out."""

    def __init__(self, checkpoint: str, network_size: tuple[int, int]) -> None:
        super().__init__("pano_node")
        self.net = from_pretrained(checkpoint)
        self.network_size = network_size
        self.depth_publisher = self.create_publisher(Image, "depth", 10)
        self.normals_publisher = self.create_publisher(Image, "normals", 10)
        self.semantic_publisher = self.create_publisher(Image, "semantic", 10)
        self.points_publisher = self.create_publisher(PointCloud2, "points", 10)
        self.info_publisher = self.create_publisher(CameraInfo, "camera_info", 10)
        self.create_subscription(Image, "image", self.on_image, 10)

    def on_image(self, message: Image) -> None:
        """Do it all, then return to the executor."""
        rgb = to_rgb(message)
        height, width = resolve_output_size("input", rgb.shape[:2], self.network_size)
        depth, normals, labels = self.predict(rgb, (height, width))
        header = message.header
        self.depth_publisher.publish(to_image(depth, "32FC1", header))
        self.normals_publisher.publish(to_image(normals, "32FC3", header))
        self.semantic_publisher.publish(to_image(labels, "mono8", header))
        if self.points_publisher.get_subscription_count():
            colors = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
            self.points_publisher.publish(to_cloud(depth, normals, labels, colors, header))
        info = CameraInfo(header=header, height=height, width=width)
        info.distortion_model = "equirectangular"
        self.info_publisher.publish(info)

    def predict(
        self, rgb: NDArray[np.uint8], size: tuple[int, int]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
        """Depth [H, W], unit normals [H, W, 3] and labels [H, W]."""
        height, width = self.network_size
        small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
        image = torch.from_numpy(small).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            final = self.net(image).final
            maps = {
                task: interpolate(final[task], size, mode="bilinear", align_corners=False)
                for task in ("depth", "normals", "semseg")
            }
            normals = torch.nn.functional.normalize(maps["normals"], dim=1)
            labels = maps["semseg"].argmax(dim=1)[0]
        return (
            maps["depth"][0, 0].numpy(),
            normals[0].permute(1, 2, 0).contiguous().numpy(),
            labels.numpy().astype(np.uint8),
        )


def to_rgb(message: Image) -> NDArray[np.uint8]:
    """As cv_bridge's imgmsg_to_cv2(message, "rgb8") does for rgb8."""
    return np.ndarray(
        (message.height, message.width, 3), np.uint8, message.data, strides=(message.step, 3, 1)
    ).copy()


def to_image(pixels: NDArray, encoding: str, header: Header) -> Image:
    """As cv_bridge's cv2_to_imgmsg does."""
    message = Image(header=header, height=pixels.shape[0], width=pixels.shape[1])
    message.encoding = encoding
    message.data.frombytes(pixels.tobytes())
    message.step = len(message.data) // message.height
    return message


def to_cloud(
    depth: NDArray, normals: NDArray, labels: NDArray, colors: NDArray, header: Header
) -> PointCloud2:
    """Angles on a mesh grid, a structured array, then as sensor_msgs_py's create_cloud does."""
    height, width = depth.shape
    lon, lat = np.meshgrid(
        ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi,
        (0.5 - (np.arange(height) + 0.5) / height) * np.pi,
    )
    points = np.empty((height, width), POINT)
    points["x"] = depth * np.cos(lat) * np.sin(lon)
    points["y"] = -depth * np.sin(lat)
    points["z"] = depth * np.cos(lat) * np.cos(lon)
    red, green, blue = (colors[..., channel].astype(np.uint32) for channel in range(3))
    points["rgb"] = (red << 16 | green << 8 | blue).view(np.float32)
    for axis, name in enumerate(("normal_x", "normal_y", "normal_z")):
        points[name] = normals[..., axis]
    points["label"] = labels
    data = array("B")
    data.frombytes(memoryview(points.tobytes()))
    message = PointCloud2(header=header, height=height, width=width, fields=FIELDS)
    message.point_step = POINT.itemsize
    message.row_step = POINT.itemsize * width
    message.is_dense = False
    message.data = data
    return message


def main() -> None:
    """`naive_node CHECKPOINT HEIGHTxWIDTH [--ros-args ...]`."""
    checkpoint, size = sys.argv[1:3]
    height, width = (int(number) for number in size.split("x"))
    rclpy.init()
    try:
        rclpy.spin(NaiveNode(checkpoint, (height, width)))
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
