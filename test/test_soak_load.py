"""The node under load: overload, listeners that stall, clocks that jump, settings that change.

What takes minutes is marked `soak` and runs with `./run bench --soak`, which sets MTPANO_SOAK.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

import rclpy
from fake_model import write_fake_model
from node_harness import TYPES, gradient, image, parameters, robot, wait_until
from processes import running
from rclpy.context import Context
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

SOAK = pytest.mark.skipif("MTPANO_SOAK" not in os.environ, reason="run by ./run bench --soak")


def soak(*values):
    """A parameter set for the long run."""
    return pytest.param(*values, marks=[pytest.mark.soak, pytest.mark.timeout(3600), SOAK])


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


# --- the node as a process of its own -------------------------------------------------------------


class Process:
    """What /proc says of a process."""

    def __init__(self, pid: int) -> None:
        self._place = Path(f"/proc/{pid}")

    def resident(self) -> int:
        return int((self._place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def handles(self) -> int:
        return len(list((self._place / "fd").iterdir()))

    def threads(self) -> int:
        return len(list((self._place / "task").iterdir()))


class Listener:
    """Subscribes to outputs and to the node's diagnostics."""

    def __init__(self, namespace: str, *names: str) -> None:
        from diagnostic_msgs.msg import DiagnosticArray

        self.context = Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("listener", context=self.context, namespace=namespace)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.count = 0
        self.frames: dict[str, str] = {}
        for name in names:
            self.node.create_subscription(TYPES[name], name, self._note, 10)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, 10)

    def _note(self, _message) -> None:
        self.count += 1

    def _diagnose(self, message) -> None:
        for status in message.status:
            if status.name == f"{self.node.get_namespace()}/pano_node: frames":
                self.frames = {pair.key: pair.value for pair in status.values}

    def spin_until(self, condition, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"{self.count} messages, {self.frames}"
            self.executor.spin_once(timeout_sec=0.1)

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def listener(request):
    made = Listener(f"/soak_{os.getpid()}_{time.monotonic_ns()}", *request.param)
    yield made
    made.close()


def start_node(listener, model, *parameters):
    namespace = listener.node.get_namespace()
    return running(
        "mtpano_ros.node", "--ros-args", "-r", f"__ns:={namespace}", "-p", f"model:={model}",
        *parameters,
    )  # fmt: skip


def start_player(listener, *args):
    namespace = listener.node.get_namespace()
    return running("mtpano_ros.tools.player", *args, "--ros-args", "-r", f"__ns:={namespace}")


@pytest.mark.parametrize("listener", [("points", "semantic/color")], indirect=True)
@pytest.mark.parametrize(("warm", "frames"), [(150, 450), soak(500, 10_000)])
def test_memory_threads_and_files_stay_flat(listener, model, warm, frames):
    rate = 80
    with (
        start_node(listener, model) as node,
        start_player(listener, "--size", "128x64", "--rate", rate, "--wait-for-subscribers", 1),
    ):
        process = Process(node.popen.pid)
        listener.spin_until(lambda: listener.count > 2 * warm, 60 + warm / 10)
        before = process.resident(), process.threads(), process.handles()
        listener.spin_until(lambda: listener.count > 2 * frames, 60 + frames / 10)
        after = process.resident(), process.threads(), process.handles()
    assert after[0] < 1.01 * before[0], f"{before[0]} grew to {after[0]} bytes"
    # Executors start their few threads when they first need them.
    assert after[1] <= before[1] + 3
    assert after[2] <= before[2] + 3


@pytest.mark.parametrize("listener", [("camera_info",)], indirect=True)
@pytest.mark.parametrize("frames", [20, soak(200)])
def test_large_images_all_reach_the_node(listener, model, frames):
    with start_node(listener, model), start_player(
        listener, "--size", "2048x1024", "--rate", 10, "--frames", frames,
        "--wait-for-subscribers", 1,
    ) as player:  # fmt: skip
        listener.spin_until(lambda: player.popen.poll() is not None, 60 + frames)
        assert f"sent {frames} images" in player.output
        listener.spin_until(lambda: listener.frames.get("received") == str(frames), 5)
    counts = {key: int(listener.frames[key]) for key in ("processed", "dropped", "idle", "skipped")}
    assert sum(counts.values()) + int(listener.frames["pending"]) == frames
    assert counts["skipped"] == 0


@pytest.mark.parametrize("listener", [("points",)], indirect=True)
@pytest.mark.parametrize("cycles", [soak(100)])
def test_a_hundred_lifecycles_under_load_leak_nothing(listener, model, cycles):
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState

    round_trip = (
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
    )
    client = listener.node.create_client(ChangeState, "pano_node/change_state")
    with (
        start_node(listener, model) as node,
        start_player(listener, "--size", "128x64", "--rate", 60),
    ):
        assert client.wait_for_service(30)
        # Until it has started by itself no transition is allowed.
        listener.spin_until(lambda: listener.count, 30)
        process = Process(node.popen.pid)
        for cycle in range(cycles):
            for transition in round_trip:
                request = ChangeState.Request(transition=Transition(id=transition))
                future = client.call_async(request)
                listener.spin_until(future.done, 30)
                assert future.result().success
            seen = listener.count
            listener.spin_until(lambda seen=seen: listener.count > seen, 30)
            if cycle == cycles // 2:  # by then the allocator's arenas have their size
                before = process.resident(), process.threads(), process.handles()
        assert process.threads() <= before[1] + 3
        assert process.handles() <= before[2] + 3
        assert process.resident() < 1.02 * before[0]
