"""What an added output is asked for, what unwanted ones do not cost, and several topics at once."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

import rclpy
from fake_model import write_fake_model
from node_harness import wait_until
from rclpy.context import Context
from rclpy.node import Node
from robot_frames import StillMounting
from sensor_msgs.msg import CameraInfo, Image, LaserScan, PointCloud2
from std_msgs.msg import Header

from mtpano_model.graph.model_info import read_model_info
from mtpano_model.inference.frame import FIELDS
from mtpano_model.pictures.picture import Picture
from mtpano_ros.camera.shot import ImagePanorama
from mtpano_ros.mounting.mounting import Pose
from mtpano_ros.outputs.base import COLORS, CONFIDENCE, HEIGHT, Message, Output, Result
from mtpano_ros.outputs.memory import FrameMemory
from mtpano_ros.outputs.publishers import Publishers
from mtpano_ros.outputs.table import OUTPUTS
from mtpano_ros.outputs.transport_advice import transport_advice
from mtpano_ros.parameters.options import with_values
from mtpano_ros.parameters.table import Parameters
from mtpano_ros.topics import Topic

ROOT = Path(__file__).parents[1]
SHOWN_TYPES = (Image, PointCloud2, LaserScan)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return read_model_info(write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx"))


def made(model, **values):
    parameters = with_values(Parameters(), values)
    return [output(model, parameters) for output in OUTPUTS], parameters


# --- what stands in other files ------------------------------------------------------------------


def missing(topics):
    """Every file that does not say of a topic what it should."""
    policy = ElementTree.parse(ROOT / "deploy" / "sros2_policy.xml").getroot()
    allowed = {one.text for one in policy.findall(".//topics[@publish='ALLOW']/topic")}
    scene = yaml.safe_load((ROOT / "rviz" / "pano.rviz").read_text())["Visualization Manager"]
    displays = {
        one["Topic"]["Value"].removeprefix("/mtpano/"): one["Class"].rpartition("/")[2]
        for one in scene["Displays"]
        if "Topic" in one
    }
    remapped = next(
        ast.literal_eval(node.value)
        for node in ast.parse((ROOT / "launch" / "pano.launch.py").read_text()).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "SHOWN"
    )
    documented = set()
    for line in (ROOT / "docs" / "node.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 6:
            names, kind = re.findall(r"`([^`]+)`", cells[1]), cells[2].split(" ")[0]
            documented |= {(name, kind.rpartition("/")[2]) for name in names}
    for topic in topics:
        if topic.name not in allowed:
            yield f"sros2_policy.xml: {topic.name}"
        if (topic.name, topic.type.__name__) not in documented:
            yield f"node.md: {topic.name}"
        if topic.display is None and topic.type in SHOWN_TYPES:
            yield f"{topic.name}: say in display whether RViz shows it"
        if topic.display and displays.get(topic.name) != topic.display:
            yield f"pano.rviz: {topic.name}"
        if topic.display and topic.name not in remapped:
            yield f"pano.launch.py: {topic.name}"


def test_every_output_stands_in_policy_rviz_launch_file_and_docs():
    assert not list(missing([topic for output in OUTPUTS for topic in output.topics]))


def test_an_added_output_is_asked_for_everywhere():
    added = Topic("laser", LaserScan, display="LaserScan")
    assert list(missing([added])) == [
        "sros2_policy.xml: laser",
        "node.md: laser",
        "pano.rviz: laser",
        "pano.launch.py: laser",
    ]
    undecided = Topic("laser", LaserScan)
    assert "laser: say in display whether RViz shows it" in list(missing([undecided]))


# --- what an output says of itself ---------------------------------------------------------------


def test_needs_are_things_that_the_frame_path_supplies(model):
    for output in made(model)[0]:
        assert output.needs(output.topics) <= FIELDS | {COLORS, CONFIDENCE, HEIGHT}


def sphere(model, parameters, height=64):
    """The result of one image: everything is 2 m away."""
    memory = FrameMemory(model)
    frame = memory.frame((height, 2 * height))
    frame.depth[...], frame.normals[...], frame.labels[...] = 2.0, (0.0, 0.0, 1.0), 3
    frame.extras[CONFIDENCE] = np.ones(frame.size, np.float32)
    pixels = np.zeros((height, 2 * height, 3), np.uint8)
    panorama = ImagePanorama(Picture(pixels, "rgb", (height, 2 * height)))
    return Result(Header(), frame, panorama, parameters, memory, Pose(), StillMounting())


@pytest.mark.parametrize("stride", [1, 3])
def test_the_advice_on_transport_knows_the_size_of_every_message(model, stride):
    outputs, parameters = made(model, **{"cloud.stride": stride})
    result = sphere(model, parameters)
    for output in outputs:
        sent = [0]
        for message in output.fill(result, output.topics):
            if message.buffer is not None:
                sent.append(message.buffer.size)
        assert output.message_bytes(result.size, parameters) == max(sent), output


def test_what_only_a_smaller_size_mends_is_advised_first(model):
    outputs, parameters = made(model, **{"outputs.size": "1024x2048"})
    assert "set cloud.stride to 2" in transport_advice(outputs, parameters, (64, 128))
    outputs, parameters = made(model, **{"outputs.size": "2048x4096"})
    assert "set outputs.size smaller" in transport_advice(outputs, parameters, (64, 128))
    outputs, parameters = made(model)
    assert transport_advice(outputs, parameters, (64, 128)) is None


# --- several topics ------------------------------------------------------------------------------


class View(Output):
    """An output as those that come: two topics with needs of their own, and a latched one."""

    topics = (
        Topic("view/image", Image, display=""),
        Topic("view/depth", Image, display=""),
        Topic("view/where", CameraInfo, latched=True, display=""),
    )

    def __init__(self, model, parameters):
        super().__init__(model, parameters)
        self.asked = []

    def needs(self, wanted):
        needs = {"view/image": COLORS, "view/depth": "depth"}
        return frozenset(needs[topic.name] for topic in wanted)

    def fill(self, result, wanted):
        self.asked.append({topic.name for topic in wanted})
        for topic in wanted:
            yield Message(topic, topic.type(header=result.header))


def test_an_output_may_have_several_topics_each_with_its_own_needs(model):
    context = Context()
    rclpy.init(context=context)
    node = Node("outputs", context=context)
    try:
        view = View(model, Parameters())
        publishers = Publishers(node, [view])
        assert not publishers.wanted()
        node.create_subscription(CameraInfo, "view/where", print, view.topics[2].qos)
        node.create_subscription(Image, "view/depth", print, 1)
        wait_until(publishers.wanted)
        plan = publishers.plan()
        assert plan.needs == {"depth"}
        publishers.send(sphere(model, Parameters()), plan)
        assert view.asked == [{"view/depth", "view/where"}], "latched ones come along"
        node.create_subscription(Image, "view/image", print, 1)
        wait_until(lambda: publishers.plan().needs == {"depth", COLORS})
        publishers.close()
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
