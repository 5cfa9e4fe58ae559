"""Player, node and subscribers as processes over real DDS: what comes out is what went in."""

from __future__ import annotations

import signal
import struct
import time
import uuid
from collections import defaultdict

import cv2
import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
from fake_model import write_fake_model  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState, GetState  # noqa: E402
from processes import running  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image, PointCloud2  # noqa: E402

from mtpano_model.classes import load_class_set  # noqa: E402
from mtpano_model.inference import load_estimator  # noqa: E402

HEIGHT, WIDTH = 64, 128
TOPICS = {
    "image": Image,
    "depth": Image,
    "normals": Image,
    "semantic": Image,
    "depth/color": Image,
    "normals/color": Image,
    "semantic/color": Image,
    "points": PointCloud2,
    "camera_info": CameraInfo,
}
OUTPUTS = set(TOPICS) - {"image"}


class Watcher:
    """Subscribes to everything in one namespace and keeps it by stamp."""

    def __init__(self, namespace: str) -> None:
        self.sets: dict[int, dict] = defaultdict(dict)
        self.node = rclpy.create_node("watcher", namespace=namespace)
        for topic, kind in TOPICS.items():
            self.node.create_subscription(kind, topic, self._keep(topic), 10)
        self._clients = {
            kind: self.node.create_client(kind, f"pano_node/{name}")
            for kind, name in ((ChangeState, "change_state"), (GetState, "get_state"))
        }

    def _keep(self, topic):
        def keep(message) -> None:
            stamp = message.header.stamp
            self.sets[stamp.sec * 10**9 + stamp.nanosec][topic] = message

        return keep

    def complete(self) -> list[dict]:
        return [frame for _, frame in sorted(self.sets.items()) if set(frame) >= set(TOPICS)]

    def wait_for_sets(self, count: int, timeout: float = 30.0) -> list[dict]:
        """So many complete sets more than there are now."""
        goal = len(self.complete()) + count
        deadline = time.monotonic() + timeout
        while len(found := self.complete()) < goal:
            assert time.monotonic() < deadline, (
                f"not within {timeout} s: {goal} complete sets, {len(found)} came"
            )
            rclpy.spin_once(self.node, timeout_sec=0.1)
        return found

    def call(self, request, timeout: float = 20.0):
        client = self._clients[ChangeState if hasattr(request, "transition") else GetState]
        assert client.wait_for_service(timeout)
        future = client.call_async(request)
        rclpy.spin_until_future_complete(self.node, future, timeout_sec=timeout)
        assert future.done(), "the service did not answer"
        return future.result()

    def change(self, transition: int) -> bool:
        return self.call(ChangeState.Request(transition=Transition(id=transition))).success

    def state(self) -> str:
        return self.call(GetState.Request()).current_state.label


@pytest.fixture
def namespace():
    return f"/n{uuid.uuid4().hex}"


@pytest.fixture
def watcher(namespace):
    rclpy.init()
    watcher = Watcher(namespace)
    yield watcher
    watcher.node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def model(tmp_path):
    return write_fake_model(tmp_path / "fake.onnx", size=(HEIGHT, WIDTH))


@pytest.fixture
def picture(tmp_path):
    """Four large blocks of colour; the model's answer inside each is known beforehand."""
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    palette = load_class_set("indoor18").palette
    rgb[:32, :64], rgb[:32, 64:] = palette[0], palette[3]
    rgb[32:, :64], rgb[32:, 64:] = palette[5], palette[7]
    path = tmp_path / "picture.png"
    assert cv2.imwrite(str(path), rgb[..., ::-1])
    return path, rgb


def node(namespace, model):
    return running(
        "mtpano_ros.node", "--ros-args", "-r", f"__ns:={namespace}", "-p", f"model:={model}"
    )


def player(namespace, path, *args):
    return running(
        "mtpano_ros.tools.player", path, "--frame-id", "theta", *args, "--ros-args", "-r",
        f"__ns:={namespace}",
    )  # fmt: skip


def pixels(message, dtype, channels=1):
    """Independent of mtpano_ros.tools.reading: rows cut out of the bytes one by one."""
    assert message.is_bigendian == 0
    size = np.dtype(dtype).itemsize * channels * message.width
    data = bytes(message.data)
    rows = [data[r * message.step : r * message.step + size] for r in range(message.height)]
    shape = (message.height, message.width) + ((channels,) if channels > 1 else ())
    return np.frombuffer(b"".join(rows), dtype).reshape(shape)


def point(cloud, row: int, column: int) -> dict:
    """One point, field by field, as PointField describes it."""
    codes = {6: "I", 7: "f"}
    start = row * cloud.row_step + column * cloud.point_step
    data = bytes(cloud.data[start : start + cloud.point_step])
    return {
        f.name: struct.unpack_from("<" + codes[f.datatype], data, f.offset)[0] for f in cloud.fields
    }


def test_every_output_is_what_predict_says_of_the_same_image(watcher, namespace, model, picture):
    path, rgb = picture
    with node(namespace, model) as pano, player(namespace, path, "--rate", 10):
        frame = watcher.wait_for_sets(2)[-1]
        pano.assert_ends_cleanly(signal.SIGINT)
    with load_estimator(model) as estimator:
        expected = estimator.predict(rgb, (HEIGHT, WIDTH))

    for topic in OUTPUTS:
        header = frame[topic].header
        assert header.frame_id == "theta", topic
        assert header.stamp == frame["image"].header.stamp, topic
        assert (frame[topic].height, frame[topic].width) == (HEIGHT, WIDTH), topic

    depth = pixels(frame["depth"], "<f4")
    normals = pixels(frame["normals"], "<f4", 3)
    labels = pixels(frame["semantic"], "u1")
    encodings = {topic: frame[topic].encoding for topic in ("depth", "normals", "semantic")}
    assert encodings == {"depth": "32FC1", "normals": "32FC3", "semantic": "mono8"}
    np.testing.assert_allclose(depth, expected.depth, rtol=1e-4)  # numpy and numba
    np.testing.assert_allclose(normals, expected.normals, atol=1e-6)
    np.testing.assert_array_equal(labels, expected.labels)

    # And what the model computes, known without any of our code.
    red = int(rgb[16, 96, 0])
    # (Depth has been corrected by its normals, which are a sphere's and not quite the picture's.)
    assert depth[16, 96] == pytest.approx(1 + red / 64, rel=0.02)
    assert [labels[y, x] for y, x in ((16, 32), (16, 96), (48, 32), (48, 96))] == [0, 3, 5, 7]

    palette = load_class_set("indoor18").palette_array
    np.testing.assert_array_equal(pixels(frame["semantic/color"], "u1", 3), palette[labels])
    for topic in ("depth/color", "normals/color"):
        assert frame[topic].encoding == "rgb8"
        assert pixels(frame[topic], "u1", 3).std() > 5, topic

    info = frame["camera_info"]
    assert info.distortion_model == "equirectangular"
    assert len(info.d) == 0
    assert not np.any(info.k)
    assert not np.any(info.p)

    check_cloud(frame["points"], rgb, depth, normals, labels)


def check_cloud(cloud, rgb, depth, normals, labels) -> None:
    names = ["x", "y", "z", "rgb", "normal_x", "normal_y", "normal_z", "label"]
    assert [field.name for field in cloud.fields] == names
    assert (cloud.point_step, cloud.row_step) == (32, 32 * WIDTH)
    for row, column in ((0, 0), (10, 5), (31, 63), (32, 64), (63, 127)):
        lon = ((column + 0.5) / WIDTH - 0.5) * 2 * np.pi
        lat = (0.5 - (row + 0.5) / HEIGHT) * np.pi
        ray = [np.cos(lat) * np.sin(lon), -np.sin(lat), np.cos(lat) * np.cos(lon)]
        one = point(cloud, row, column)
        position = [one["x"], one["y"], one["z"]]
        normal = [one["normal_x"], one["normal_y"], one["normal_z"]]
        assert position == pytest.approx([depth[row, column] * r for r in ray], abs=1e-4)
        assert normal == pytest.approx(list(normals[row, column]), abs=1e-6)
        assert one["label"] == labels[row, column]
        bits = struct.unpack("<I", struct.pack("<f", one["rgb"]))[0]
        assert [bits >> 16 & 255, bits >> 8 & 255, bits & 255] == list(rgb[row, column])
    assert point(cloud, 0, 0)["y"] < 0  # above the camera, and y points down


def test_the_node_outlives_its_subscribers_its_camera_and_its_own_lifecycle(
    watcher, namespace, model, picture, tmp_path
):
    path, _ = picture
    listen = ["--frames", 0, "--model", model, "--out", tmp_path / "out"]
    ros = ["--ros-args", "-r", f"__ns:={namespace}"]
    with node(namespace, model) as pano:
        with player(namespace, path, "--rate", 20) as camera:
            watcher.wait_for_sets(2)
            with running("mtpano_ros.tools.snapshot", *listen, *ros) as subscriber:
                subscriber.wait_for("ready")
                subscriber.popen.kill()  # no goodbye
                subscriber.wait()
            watcher.wait_for_sets(5)
            camera.popen.kill()
            camera.wait()
        with player(namespace, path, "--rate", 20):
            watcher.wait_for_sets(5)

            for _ in range(2):
                assert watcher.change(Transition.TRANSITION_DEACTIVATE)
                assert watcher.state() == "inactive"
                assert watcher.change(Transition.TRANSITION_CLEANUP)
                assert watcher.state() == "unconfigured"
                assert watcher.change(Transition.TRANSITION_CONFIGURE)
                assert watcher.change(Transition.TRANSITION_ACTIVATE)
                assert watcher.state() == "active"
                watcher.wait_for_sets(3)
        pano.assert_ends_cleanly(signal.SIGTERM)
