"""Silence is explained, misfits are told once, /diagnostics says how things are."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from diagnostic_msgs.msg import DiagnosticStatus
from fake_model import write_fake_model
from node_harness import image, parameters, robot, wait_until
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from mtpano_ros.watch.image_watch import transport_trouble


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx")


def silence(bot, seconds=1.0):
    """Activate with a short patience once DDS has found the world; the one warning that follows."""
    for camera in bot.world.publishers:  # discovery takes up to 3 s on a busy machine
        topic = camera.topic_name
        wait_until(lambda name=topic: bot.node.count_publishers(name), what=f"{topic} is known")
    bot.node.set_parameters(parameters(image_timeout=seconds, keep_subscribed=True))
    bot.activate()
    return wait_until(lambda: bot.said("no image on"), what="the warning")[0]


def test_no_camera_at_all_is_said_once(model):
    with robot(model) as bot:
        told = silence(bot)
        assert told.startswith("no image on /mtpano/image for 1 s: nobody publishes it")
        time.sleep(1.3)
        assert len(bot.said("no image on")) == 1


def test_a_camera_on_another_topic_is_named(model):
    with robot(model) as bot:
        bot.world.create_publisher(Image, "/equirectangular/image", 1)
        told = silence(bot)
        assert (
            "/equirectangular/image (remap image to /equirectangular/image, image_transport raw)"
            in told
        )


def test_a_camera_that_compresses_is_named(model):
    with robot(model) as bot:
        bot.world.create_publisher(CompressedImage, "image/compressed", 1)
        assert "(remap image to /mtpano/image, image_transport compressed)" in silence(bot)


def test_a_raw_camera_is_named_where_compressed_ones_are_awaited(model):
    with robot(model, image_transport="compressed") as bot:
        bot.world.create_publisher(Image, "image", 1)
        assert "(remap image to /mtpano/image, image_transport raw)" in silence(bot)


@pytest.mark.parametrize("topic", ["/theta/image_jpeg", "/camera360/compressed/image_raw"])
def test_a_camera_that_compresses_under_another_name_is_named(model, topic):
    with robot(model) as bot:
        bot.world.create_publisher(CompressedImage, topic, 1)
        told = silence(bot, 1.0)
        assert f"{topic} (remap image/compressed to {topic}, image_transport compressed)" in told


def test_a_camera_that_has_ended_is_not_looked_for(model):
    with robot(model) as bot:
        bot.node.set_parameters(parameters(image_timeout=1.0, keep_subscribed=True))
        bot.activate()
        bot.process(image())
        for camera in bot.world.publishers:
            if camera.topic_name == "/mtpano/image":
                bot.world.destroy_publisher(camera)
        told = wait_until(lambda: bot.said("no image on"), what="the warning")[0]
        assert "nobody publishes it any more, the camera has ended" in told


@pytest.mark.parametrize(
    ("total", "free", "said"), [(32, 32, "--shm-size=512m"), (512, 500, ""), (512, 0, "")]
)
def test_too_little_shared_memory_is_named_where_images_are_missing(
    model, monkeypatch, total, free, said
):
    with robot(model) as bot:
        facts = SimpleNamespace(f_frsize=1 << 20, f_blocks=total, f_bavail=free)
        monkeypatch.setattr(os, "statvfs", lambda _path: facts)
        told = silence(bot)
        assert ("/dev/shm" in told) == bool(said)
        assert said in told
        assert transport_trouble() in told
        level = DiagnosticStatus.WARN if said else DiagnosticStatus.OK
        wait_until(lambda: bot.level("engine") == level, 5)
        assert said in bot.message("engine")


@pytest.mark.parametrize(("reach", "said"), [("OFF", "no node finds another"), ("SUBNET", "")])
def test_discovery_that_is_switched_off_is_named_where_images_are_missing(
    model, monkeypatch, reach, said
):
    with robot(model) as bot:
        monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", reach)
        told = silence(bot)
        assert ("ROS_AUTOMATIC_DISCOVERY_RANGE" in told) == bool(said)
        assert said in told


def test_a_camera_of_another_type_is_named(model):
    with robot(model) as bot:
        bot.world.create_publisher(CompressedImage, "image", 1)
        told = silence(bot)
        assert "/mtpano/world sends sensor_msgs/msg/CompressedImage" in told
        assert "expected sensor_msgs/msg/Image" in told


def test_a_camera_with_qos_that_does_not_fit_is_named_once(model):
    override = {"qos_overrides./mtpano/image.subscription.reliability": "reliable"}
    with robot(model, **override) as bot:
        best_effort = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        bot.world.create_publisher(Image, "image", best_effort)
        assert "/mtpano/world has QoS that does not fit (best effort" in silence(bot)
        told = wait_until(lambda: bot.said("gets no connection"))
        assert "/mtpano/image: publisher /mtpano/world" in told[0]
        assert "or here with qos_overrides./mtpano/image" in told[0]
        time.sleep(1.2)
        assert len(bot.said("gets no connection")) == 1


def test_a_camera_that_is_silent_is_named(model):
    with robot(model) as bot:
        bot.world.create_publisher(Image, "image", 1)
        assert "/mtpano/world fits, but is silent" in silence(bot)


def test_an_image_ends_the_silence_and_the_next_one_is_told_again(model):
    with robot(model) as bot:
        silence(bot)
        bot.process(image())
        wait_until(lambda: len(bot.said("no image on")) == 2)


def test_a_subscriber_with_qos_that_does_not_fit_is_told_once(model):
    with robot(model) as bot:
        bot.activate()
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        bot.listen("points", qos=latched, matched=False)
        told = wait_until(lambda: bot.said("gets no connection"))
        assert "/mtpano/points: subscriber /mtpano/world" in told[0]
        time.sleep(1.2)
        assert len(bot.said("gets no connection")) == 1
        bot.listen("points")
        bot.process(image())
        bot.outputs("points", 1)


@pytest.mark.parametrize(
    ("misfit", "policy"),
    [
        ({"durability": DurabilityPolicy.TRANSIENT_LOCAL}, "transient local"),
        ({"deadline": Duration(seconds=0.1)}, "deadline"),
        ({"liveliness_lease_duration": Duration(seconds=1)}, "liveliness"),
    ],
)
def test_one_misfit_among_fitting_subscribers_is_told_alone_and_for_its_own_reason(
    model, misfit, policy
):
    with robot(model) as bot:
        bot.activate()
        for _ in range(3):
            bot.listen("depth")
        bot.listen("depth", qos=QoSProfile(depth=1, **misfit), matched=False)
        told = wait_until(lambda: bot.said("gets no connection"))
        time.sleep(1.2)
        assert len(bot.said("gets no connection")) == 1
        reason = told[0].partition("does not fit (")[2].partition(")")[0]
        found = {one for one in ("transient local", "deadline", "liveliness") if one in reason}
        assert found == {policy}
        assert "qos_overrides" not in told[0], "no override mends any of these"


def test_a_camera_with_a_deadline_of_its_own_fits(model):
    qos = QoSProfile(depth=1, deadline=Duration(seconds=1))
    with robot(model) as bot:
        bot.world.create_publisher(Image, "image", qos)
        assert "/mtpano/world fits, but is silent" in silence(bot)
        assert not bot.said("gets no connection")


def test_two_cameras_on_one_topic_are_hinted_at(model):
    with robot(model, keep_subscribed=True) as bot:
        bot.activate()
        other = bot.world.create_publisher(Image, "image", 1)
        wait_until(lambda: bot.world.count_publishers("image") >= 1)
        now = time.time_ns()
        bot.process(image(stamp=now))
        bot.process(image(stamp=now - 10**9))
        (told,) = wait_until(lambda: bot.said("before the last one's"))
        assert "2 publishers send on this topic" in told
        bot.world.destroy_publisher(other)


def test_silence_is_noticed_under_a_simulated_clock_that_stands_still(model):
    with robot(model, use_sim_time=True) as bot:
        silence(bot)
        wait_until(lambda: len(bot.diagnostics) > 2, what="diagnostics without /clock")
        bot.listen("depth")
        bot.process(image())
        bot.outputs("depth", 1)
