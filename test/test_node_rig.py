"""A rig through the running node: outputs, frames, and all that can be wrong with lenses."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from diagnostic_msgs.msg import DiagnosticStatus
from fake_model import write_fake_model
from fisheye_views import bundled
from node_harness import image, robot, wait_until
from rig_robot import Lenses, picture, rig_file, seen_by, two_fisheyes
from sensor_msgs.msg import Image
from std_msgs.msg import String

from mtpano_model.geometry import sphere
from mtpano_ros.tools.reading import cloud_array, image_array

RAW = {"front": Image, "back": Image}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx")


@pytest.fixture(scope="module")
def pictures():
    return seen_by(two_fisheyes(), bundled("workshop"))


def behind(size, degrees=110.0):
    """Where directions are more than so many degrees off straight ahead, [H, W]."""
    return np.arccos(sphere.rays(*size)[..., 2]) > np.radians(degrees)


def test_two_raw_fisheyes_give_what_the_panorama_gives(model, pictures, tmp_path):
    names = ("depth", "semantic", "normals", "points", "camera_info")
    with robot(model, outputs__size="64x128") as bot:
        bot.activate()
        bot.listen(*names)
        bot.process(image(bundled("workshop")))
        plain = {name: bot.outputs(name, 1)[0] for name in names}
    with robot(model, outputs__size="64x128", rig=rig_file(tmp_path, two_fisheyes())) as bot:
        bot.activate()
        bot.listen(*names)
        stamp = Lenses(bot, RAW).process(pictures)
        made = {name: bot.outputs(name, 1)[0] for name in names}
        wait_until(lambda: bot.values("camera")["moments_together"] == "1")
        assert bot.level("camera") == DiagnosticStatus.OK
        assert bot.values("camera")["source"] == "rig"
    for message in made.values():
        assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == stamp
        assert message.header.frame_id == "front_optical_panorama"
    depth, expected = (image_array(one["depth"]) for one in (made, plain))
    assert np.isfinite(depth).all()
    assert np.abs(depth - expected).mean() < 0.05  # of metres; red / 64: three of 255
    same = image_array(made["semantic"]) == image_array(plain["semantic"])
    assert same.mean() > 0.9
    info, before = made["camera_info"], plain["camera_info"]
    assert (info.height, info.width, info.distortion_model) == (64, 128, before.distortion_model)
    colors = [cloud_array(one["points"])["rgb"].view(np.uint32) for one in (made, plain)]
    red = [(one >> 16 & 255).astype(float) for one in colors]
    assert np.abs(red[0] - red[1]).mean() < 6


def test_bgr_lenses_and_lenses_of_two_orders_have_the_same_colours(model, pictures, tmp_path):
    with robot(model, rig=rig_file(tmp_path, two_fisheyes()), outputs__size="network") as bot:
        bot.activate()
        bot.listen("depth", "points")
        lenses = Lenses(bot, RAW)
        for number, encodings in enumerate((("rgb8", "rgb8"), ("bgr8", "bgr8"), ("rgb8", "bgr8"))):
            stamp = time.time_ns()
            for topic, encoding in zip(RAW, encodings, strict=True):
                turned = pictures[topic][..., :: 1 if encoding == "rgb8" else -1]
                lenses.send(topic, picture(topic, turned, stamp, encoding=encoding))
            bot.outputs("points", number + 1)
        depths = [image_array(one) for one in bot.outputs("depth", 3)]
        clouds = [cloud_array(one)["rgb"].view(np.uint32) for one in bot.outputs("points", 3)]
    for depth, cloud in zip(depths[1:], clouds[1:], strict=True):
        assert np.abs(depth - depths[0]).mean() < 0.02
        apart = np.abs((cloud >> 16 & 255).astype(int) - (clouds[0] >> 16 & 255).astype(int))
        assert apart.mean() < 2


def test_colours_are_composed_only_for_who_wants_them(model, pictures, tmp_path):
    with robot(model, rig=rig_file(tmp_path, two_fisheyes())) as bot:
        bot.activate()
        bot.listen("depth")
        lenses = Lenses(bot, RAW)
        lenses.process(pictures)
        assert bot.node._source._composing._colors is None
        assert image_array(bot.outputs("depth", 1)[0]).shape[0] == 318  # what the lenses resolve
        bot.listen("points")
        lenses.process(pictures)
        assert bot.node._source._composing._colors is not None


def test_a_dead_lens_is_told_once_and_the_other_goes_on(model, pictures, tmp_path):
    names = ("depth", "normals", "semantic", "points", "scan", "confidence")
    with robot(model, rig=rig_file(tmp_path, two_fisheyes(wait=0.05))) as bot:
        bot.activate()
        bot.listen(*names)
        lenses = Lenses(bot, RAW)
        lenses.process(pictures)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            lenses.moment({"front": pictures["front"]})
            time.sleep(0.1)
        wait_until(lambda: bot.values("camera")["silent"] == "back", 5)
        assert bot.level("camera") == DiagnosticStatus.WARN
        assert "no picture comes on back" in bot.message("camera")
        assert 0.3 < float(bot.values("camera")["unseen_share"]) < 0.5
        assert len(bot.said("lens topic back has delivered no picture")) == 1
        last = {name: bot.received[name][-1] for name in names}
        depth, labels = image_array(last["depth"]), image_array(last["semantic"])
        hidden = behind(depth.shape)
        assert np.isnan(depth[hidden]).all()
        assert np.isnan(image_array(last["normals"])[hidden]).all()
        assert (labels[hidden] == 255).all()
        assert (image_array(last["confidence"])[hidden] == 0).all()
        assert np.isnan(cloud_array(last["points"])["x"][hidden]).all()
        assert (cloud_array(last["points"])["label"][hidden] == 255).all()
        ahead = ~behind(depth.shape, 90)
        assert np.isfinite(depth[ahead]).all()
        assert (labels[ahead] != 255).all()
        # Nothing is known there: neither an obstacle nor a way that is free.
        ranges = np.array(last["scan"].ranges)
        angles = last["scan"].angle_min + last["scan"].angle_increment * np.arange(len(ranges))
        assert np.isnan(ranges[np.abs(angles) > np.radians(115)]).all()
        for _ in range(2):  # the first moment has not waited for a lens that was dead
            lenses.process(pictures)
        wait_until(lambda: bot.level("camera") == DiagnosticStatus.OK, 5)
        wait_until(lambda: bot.said("lens topic back delivers again"))
        wait_until(lambda: np.isfinite(image_array(bot.received["depth"][-1])).all())


def test_stamps_that_are_a_second_apart_are_said_and_the_stream_goes_on(model, pictures, tmp_path):
    with robot(model, rig=rig_file(tmp_path, two_fisheyes(wait=0.05))) as bot:
        bot.activate()
        bot.listen("depth")
        lenses = Lenses(bot, RAW)
        for _ in range(14):
            now = time.time_ns()
            lenses.send("front", picture("front", pictures["front"], now))
            lenses.send("back", picture("back", pictures["back"], now - 10**9))
            time.sleep(0.1)
        wait_until(lambda: bot.said("is stamped -1."), what="the sentence")
        (told,) = bot.said("is stamped")
        assert "synchronise the cameras' clocks, or set tolerance" in told
        wait_until(lambda: bot.values("camera")["apart"] == "back", 5)
        assert bot.count("processed") > 3


def test_stamps_that_begin_again_are_taken(model, pictures, tmp_path):
    with robot(model, rig=rig_file(tmp_path, two_fisheyes())) as bot:
        bot.activate()
        bot.listen("depth")
        lenses = Lenses(bot, RAW)
        lenses.process(pictures)
        for turn in range(2):  # a bag that loops: the first image after it is skipped
            lenses.moment(pictures, time.time_ns() - (60 - turn) * 10**9)
            wait_until(lambda t=turn: bot.count("processed") + bot.count("skipped") == 2 + t)
        assert bot.count("processed") == 2


def test_another_resolution_is_scaled_where_that_is_exact_and_refused_elsewhere(
    model, pictures, tmp_path
):
    with robot(model, rig=rig_file(tmp_path, two_fisheyes())) as bot:
        bot.activate()
        bot.listen("depth")
        lenses = Lenses(bot, RAW)
        lenses.process({topic: pixels[::2, ::2] for topic, pixels in pictures.items()})
        assert np.isfinite(image_array(bot.outputs("depth", 1)[0])).all()
        lenses.process({**pictures, "back": pictures["back"][:180]})
        told = wait_until(lambda: bot.said("lens 'back'"))[0]
        assert "pictures of back are not used: lens 'back': the picture is 180x368" in told
        depth = image_array(bot.outputs("depth", 2)[1])
        assert np.isnan(depth[behind(depth.shape)]).all()
        assert np.isfinite(depth[~behind(depth.shape, 90)]).all()
        wait_until(lambda: bot.level("camera") == DiagnosticStatus.WARN, 5)
        lenses.moment({topic: pixels[:180] for topic, pixels in pictures.items()})
        wait_until(lambda: bot.count("skipped_size") == 1)
        lenses.process(pictures)
        wait_until(lambda: bot.level("camera") == DiagnosticStatus.OK, 5)


def test_a_lens_that_sees_less_than_it_claims_is_said_once(model, pictures, tmp_path):
    radius = np.hypot(*(np.indices((360, 368)) - np.array([180, 183])[:, None, None]))
    narrow = np.where(radius[..., None] > 140, 0, pictures["back"]).astype(np.uint8)
    with robot(model, rig=rig_file(tmp_path, two_fisheyes())) as bot:
        bot.activate()
        bot.listen("depth")
        lenses = Lenses(bot, RAW)
        for _ in range(2):
            lenses.process({**pictures, "back": narrow})
        wait_until(lambda: bot.said("lens 'back' has a field_of_view of 200 degrees"))
        assert len(bot.said("field_of_view of 200 degrees")) == 1
        wait_until(lambda: "field_of_view of 200 degrees" in bot.message("camera"), 5)


def test_a_topic_of_another_type_is_said(model, pictures, tmp_path):
    with robot(model, rig=rig_file(tmp_path, two_fisheyes(wait=0.05))) as bot:
        bot.world.create_publisher(String, "back", 1)
        bot.activate()
        bot.listen("depth")
        Lenses(bot, {"front": Image}).process({"front": pictures["front"]})
        told = wait_until(lambda: bot.said("std_msgs/msg/String"))[0]
        assert told.startswith("/mtpano/back has messages of type std_msgs/msg/String, expected")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("image_width: 640\ncamera_matrix: {}\n", "expected `lenses`"),
        ("lenses: [", "is not YAML"),
        ("lenses: {a: {model: ds, size: 10x10, intrinsics: [0, 0.5, 5, 5, 5, 5]}}", "has no topic"),
        (None, "cannot read the rig file"),
    ],
)
def test_a_file_that_is_no_rig_fails_configure_with_one_line(model, tmp_path, content, words):
    path = tmp_path / "rig.yaml"
    if content is not None:
        path.write_text(content)
    with robot(model, rig=str(path)) as bot:
        assert bot.node.trigger_configure().name == "FAILURE"
        (told,) = wait_until(lambda: bot.said("configure failed"))
        assert words in told
        rig_file(tmp_path, two_fisheyes())
        assert bot.node.trigger_configure().name == "SUCCESS"
