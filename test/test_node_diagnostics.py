"""What /diagnostics says, and what is announced about outputs that are too large."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from diagnostic_msgs.msg import DiagnosticStatus
from fake_model import write_fake_model
from node_harness import TYPES, compressed, image, parameters, robot, wait_until

from mtpano_ros.watch.diagnostics import SKIP_REASONS, STAGES, Statistics, slow_publishing


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx")


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


@pytest.mark.parametrize(
    ("publish", "inference", "held"),
    [(700, 50, True), (700, 600, False), (300, 5, False), (700, None, True), (None, 900, False)],
)
def test_publishing_that_holds_everything_up_is_said(publish, inference, held):
    """As a stopped subscriber of a large cloud makes it; a busy machine slows both."""
    statistics = Statistics()
    times = {"publish": publish, "inference": inference}
    for _ in range(20):
        statistics.processed({s: ms for s, ms in times.items() if ms is not None}, (64, 128))
    said = slow_publishing(statistics.latency())
    assert bool(said) == held
    assert not held or "up to 700 ms" in said


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
