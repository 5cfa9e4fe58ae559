"""The node as a process: how it starts, how it ends, what it loads."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

import rclpy
from fake_model import write_fake_model
from node_harness import image, robot, wait_until
from processes import ALARM, running
from rclpy.context import Context
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2

from mtpano_ros.process.signals import ENDING

SIGNALS = ENDING


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx")


@pytest.fixture
def world():
    context = Context()
    rclpy.init(context=context)
    node = Node("world", context=context, namespace="/mtpano")
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def started(model, *ros_args):
    return running("mtpano_ros.node", "--ros-args", "-r", "__ns:=/mtpano", "-p", f"model:={model}",
                   *ros_args)  # fmt: skip


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_an_idle_node_in_order(model, number):
    with started(model) as process:
        process.wait_for("listening to /mtpano/image")
        process.assert_ends_cleanly(number)


@pytest.mark.parametrize(
    ("remaps", "topic"),
    [
        (("image/compressed:=/theta/image_jpeg",), "/theta/image_jpeg"),
        (("image:=/cam", "image/compressed:=/theta/image_jpeg"), "/theta/image_jpeg"),
        (("image:=/cam",), "/cam/compressed"),
        ((), "/mtpano/image/compressed"),
    ],
)
def test_jpegs_may_come_on_a_topic_of_any_name(model, remaps, topic):
    words = [word for remap in remaps for word in ("-r", remap)]
    with started(model, *words, "-p", "image_transport:=compressed") as process:
        process.wait_for(f"listening to {topic}\n")


@pytest.mark.parametrize(
    ("remap", "topic"),
    [
        ("image:=depth", "/mtpano/depth"),
        ("depth:=image", "/mtpano/image"),
        ("depth:=normals", "/mtpano/normals"),
    ],
)
def test_two_topics_of_one_name_are_refused(model, remap, topic):
    with started(model, "-r", remap) as process:
        process.wait_for(f"activate failed: two topics of this node are both called {topic}:")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_a_node_at_work_in_order(model, number, world):
    clouds = []
    world.create_subscription(PointCloud2, "points", clouds.append, 1)
    camera = world.create_publisher(Image, "image", qos_profile_sensor_data)
    executor = rclpy.executors.SingleThreadedExecutor(context=world.context)
    executor.add_node(world)
    with started(model) as process:

        def shoot():
            camera.publish(image())
            executor.spin_once(timeout_sec=0.01)
            return len(clouds) > 3

        wait_until(shoot, 20)
        for _ in range(5):
            shoot()
        process.assert_ends_cleanly(number)
    executor.shutdown()


def test_a_signal_ends_a_node_that_could_not_start(tmp_path):
    with started(tmp_path / "missing.onnx") as process:
        process.wait_for("configure failed")
        assert "Traceback" not in process.output
        process.assert_ends_cleanly(signal.SIGINT)


def test_a_second_signal_does_no_harm(model):
    with started(model) as process:
        process.wait_for("listening to")
        process.popen.send_signal(signal.SIGINT)
        time.sleep(0.02)
        process.assert_ends_cleanly(signal.SIGINT)


LOADS = (
    "import mtpano_model.inference as network; "
    "network.load_estimator = lambda *_, **__: print('loading', flush=True) or time.sleep(60)"
)
LOADS_SOON = (
    "import mtpano_model.inference as network; load = network.load_estimator; "
    "network.load_estimator = lambda *a, **k: [print('loading', flush=True), time.sleep(1), "
    "load(*a, **k)][2]"
)
INFERS = (
    "from mtpano_model.inference import Estimator; "
    "Estimator.infer = lambda *_: print('inferring', flush=True) or time.sleep(60)"
)


@contextlib.contextmanager
def patched(model, patch):
    """The node's process after a line of Python that sees its module as `node`."""
    code = f"import time, mtpano_ros.node as node; {patch}; raise SystemExit(node.main())"
    command = [sys.executable, "-c", code, "--ros-args", "-r", "__ns:=/mtpano"]
    with subprocess.Popen(
        [*command, "-p", f"model:={model}"],
        cwd=Path(__file__).parents[1],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        yield process


def segments(text):
    """Names of Fast DDS's shared memory in a text, without those of its locks and ports."""
    return set(re.findall(r"fastdds_[0-9a-f]{16}\b", text))


def assert_ends_in_time(process, number=signal.SIGTERM):
    process.send_signal(number)
    began = time.monotonic()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert not ALARM.search(said)
    # ros2 launch kills what has not ended after ten seconds.
    assert time.monotonic() - began < 9
    return said


@pytest.mark.parametrize(
    ("patch", "number"),
    [(LOADS, signal.SIGTERM), (LOADS_SOON, signal.SIGTERM), (LOADS_SOON, signal.SIGHUP)],
)
def test_a_signal_ends_a_node_that_loads_and_does_not_listen(model, patch, number):
    with patched(model, patch) as process:
        assert process.stdout.readline() == "loading\n"
        said = assert_ends_in_time(process, number)
        assert "listening" not in said


def test_what_loads_for_long_is_not_waited_for_at_the_end(model):
    with robot(model) as bot:
        bot.node._in_transition.acquire()  # as configure does
        began = time.monotonic()
        assert not bot.node.close()
        # An image in the network is given 3.5 s.
        assert time.monotonic() - began < 2.5
        bot.node._in_transition.release()


def test_a_signal_ends_a_node_whose_network_hangs_and_leaves_no_shared_memory(model, world):
    before = segments(" ".join(os.listdir("/dev/shm")))
    world.create_subscription(Image, "depth", print, 1)
    camera = world.create_publisher(Image, "image", qos_profile_sensor_data)
    with patched(model, INFERS) as process:
        found = threading.Thread(target=process.stdout.readline)
        found.start()

        def shoot():
            camera.publish(image())
            return not found.is_alive()

        wait_until(shoot, 20)
        own = segments(Path(f"/proc/{process.pid}/maps").read_text()) - before
        assert own
        assert_ends_in_time(process)
    assert not own & segments(" ".join(os.listdir("/dev/shm")))


@pytest.mark.parametrize("raised", ["OSError(36, 'File name too long')", "ZeroDivisionError('0')"])
def test_a_callback_that_fails_does_not_end_the_node(model, raised):
    patch = (
        "from mtpano_ros.watch.reporter import Reporter; "
        f"Reporter.publish = lambda *_: (_ for _ in ()).throw({raised})"
    )
    tick = "node.PanoNode._tick = lambda self: self._reporter.publish()"
    with patched(model, f"{patch}; Reporter.state = lambda *_: None; {tick}") as process:
        lines = iter(process.stderr.readline, "")
        assert any("a callback failed: " + raised.partition("(")[0] in line for line in lines)
        assert process.poll() is None
        assert_ends_in_time_quietly(process)


def assert_ends_in_time_quietly(process):
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in said


def test_the_node_loads_neither_torch_nor_an_engine_before_it_needs_one():
    code = (
        "import sys, mtpano_ros.node; "
        "print(*{m.partition('.')[0] for m in sys.modules} "
        "& {'torch', 'transformers', 'openvino', 'onnxruntime', 'tensorrt', 'cv_bridge'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
