"""Hours of images and lifecycles: memory, threads and files stay flat."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

import rclpy
from fake_model import write_fake_model
from node_harness import TYPES
from processes import running
from rclpy.context import Context

SOAK = pytest.mark.skipif("MTPANO_SOAK" not in os.environ, reason="run by ./run bench --soak")


def soak(*values):
    """A parameter set for the long run."""
    return pytest.param(*values, marks=[pytest.mark.soak, pytest.mark.timeout(3600), SOAK])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx")


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
