"""The node under load: overload, listeners that stall, clocks that jump, settings that change.

What takes minutes is marked `soak` and runs with `./run bench --soak`, which sets MTPANO_SOAK.
"""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

import rclpy
from fake_model import write_fake_model
from node_harness import TYPES, gradient, image, parameters, robot, wait_until
from rclpy.context import Context
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx")


def slow_down(monkeypatch, bot, seconds: float) -> None:
    """Let the network take this much longer."""
    infer = bot.node._estimator.infer
    monkeypatch.setattr(
        bot.node._estimator, "infer", lambda batch: time.sleep(seconds) or infer(batch)
    )


def subscribers(bot, name: str) -> int:
    found = (p for p in bot.node.publishers if p.topic_name == f"/mtpano/{name}")
    return sum(publisher.get_subscription_count() for publisher in found)


def stamp_of(message) -> float:
    return message.header.stamp.sec + message.header.stamp.nanosec * 1e-9


def test_at_five_times_the_sustainable_rate_the_newest_image_wins(model, monkeypatch):
    frame_time = 0.2
    with robot(model) as bot:
        bot.activate()
        bot.listen("depth")
        ages = []
        bot.world.create_subscription(
            TYPES["depth"], "depth", lambda m: ages.append(time.time() - stamp_of(m)), 10
        )
        slow_down(monkeypatch, bot, frame_time)
        sent = 0
        deadline = time.monotonic() + 3.0
        while time.monotonic() < deadline:
            bot.send(image())
            sent += 1
            time.sleep(frame_time / 5)
        wait_until(lambda: bot.count("pending") == 0, what="every image is accounted for")
        assert bot.count("received") == bot.count("processed") + bot.count("dropped")
        assert bot.count("dropped") > 0.5 * sent
        assert len(ages) >= 8
        # One frame time in the network, less than one of waiting: no queue builds up.
        assert np.median(ages) < 2 * frame_time
        assert np.median(ages[-5:]) < 2 * frame_time


def test_a_subscriber_that_stalls_does_not_hold_up_the_others(model):
    with robot(model) as bot:
        bot.activate()
        bot.listen("depth", "points")
        stalled = Context()
        rclpy.init(context=stalled)
        sleeper = rclpy.create_node("sleeper", context=stalled, namespace="/mtpano")
        reliable = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
        for name in ("depth", "points"):
            sleeper.create_subscription(TYPES[name], name, lambda _: None, reliable)
        wait_until(lambda: subscribers(bot, "points") == 2, what="the sleeper is matched")
        try:
            picture = gradient(256)
            for _ in range(30):
                bot.process(image(picture))
            bot.outputs("depth", 30)
            bot.outputs("points", 30)
        finally:
            sleeper.destroy_node()
            rclpy.shutdown(context=stalled)


def test_settings_may_change_under_load(model):
    with robot(model) as bot:
        bot.activate()
        bot.listen("depth", "points", "camera_info")
        stop = threading.Event()

        def change() -> None:
            sizes = ["64x128", "32x64", "input", "network"]
            for turn in range(40):
                accepted = bot.node.set_parameters(
                    parameters(
                        outputs__size=sizes[turn % 4],
                        cloud__stride=1 + turn % 3,
                        outputs__frame_convention=("optical", "body")[turn % 2],
                        max_range=float(turn),
                    )
                )
                assert all(result.successful for result in accepted)
                time.sleep(0.02)
            stop.set()

        changing = threading.Thread(target=change)
        changing.start()
        while not stop.is_set():
            bot.process(image())
        changing.join()
        assert bot.count("skipped") == 0
        sizes = {(m.height, m.width) for m in bot.outputs("depth", 1)}
        assert sizes <= {(64, 128), (32, 64)}
        infos = {stamp_of(m): (m.height, m.width) for m in bot.received["camera_info"]}
        for depth in bot.received["depth"]:
            assert infos[stamp_of(depth)] == (depth.height, depth.width)
        for cloud in bot.received["points"]:
            assert len(cloud.data) == cloud.height * cloud.row_step


def test_a_simulated_clock_may_jump(model):
    with robot(model, use_sim_time=True) as bot:
        bot.activate()
        bot.listen("depth")
        clock = bot.world.create_publisher(Clock, "/clock", 10)
        wait_until(clock.get_subscription_count, what="the node listens to /clock")
        second = 10**9
        sent = 0
        for now in (5, 6, 4000, 4001, 4002):  # an hour ahead, as when a bag skips
            tick = Clock()
            tick.clock.sec = now
            clock.publish(tick)
            time.sleep(0.05)
            bot.process(image(stamp=now * second))
            sent += 1
        bot.outputs("depth", sent)
        # Back to the beginning, as when a bag loops: one image tells, the next ones go through.
        for now in (5, 6, 7):
            tick = Clock()
            tick.clock.sec = now
            clock.publish(tick)
            time.sleep(0.05)
            bot.process(image(stamp=now * second))
        assert len(bot.outputs("depth", sent + 2)) >= sent + 2
        assert bot.count("skipped") <= 1
