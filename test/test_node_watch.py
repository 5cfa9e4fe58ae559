"""Silence is explained, misfits are told once, /diagnostics says how things are."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from diagnostic_msgs.msg import DiagnosticStatus
from fake_model import write_fake_model
from node_harness import TYPES, compressed, image, parameters, robot, wait_until
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from mtpano_ros.diagnostics import SKIP_REASONS, STAGES


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx")


def silence(bot, seconds=0.3):
    """Activate with a short patience; the one warning that follows."""
    bot.node.set_parameters(parameters(image_timeout=seconds))
    bot.activate()
    return wait_until(lambda: bot.said("no image on"), what="the warning")[0]


def test_no_camera_at_all_is_said_once(model):
    with robot(model) as bot:
        told = silence(bot)
        assert told.startswith("no image on /mtpano/image for 0.3 s: nobody publishes it")
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
    with robot(model, output_size="1024x2048") as bot:
        bot.activate()
        (told,) = wait_until(lambda: bot.said("transport profile"))
        assert "64 MiB, more than the 50 MiB" in told
        assert "cloud_stride to 2" in told
        bot.node.set_parameters(parameters(cloud_stride=2))
        time.sleep(0.2)
        assert len(bot.said("transport profile")) == 1


def test_normals_too_large_for_the_transport_are_announced(model):
    with robot(model, output_size="2048x4096", cloud_stride=4) as bot:
        bot.activate()
        (told,) = wait_until(lambda: bot.said("transport profile"))
        assert "normals of 2048x4096 are 96 MiB" in told


def test_compressed_transport_subscribes_to_the_remapped_twin(model):
    with robot(model, image_transport="compressed", namespace="/robot") as bot:
        bot.activate()
        assert bot.node._subscription.topic_name == "/robot/image/compressed"
        bot.listen(*TYPES)
        bot.process(compressed())
