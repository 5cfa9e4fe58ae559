"""A network that hangs or fails for good: /diagnostics say so, and no engine is closed in use."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from diagnostic_msgs.msg import DiagnosticStatus
from fake_model import write_fake_model
from node_harness import image, parameters, robot, wait_until

from mtpano_ros import node as node_module
from mtpano_ros.frames.network_health import FAILURES_UNTIL_BROKEN


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx")


class Hang:
    """Keeps the image that is in the network there until `release`; tells if its engine closes."""

    def __init__(self, bot, monkeypatch):
        self._go, self.entered, self.closed = threading.Event(), threading.Event(), False
        estimator = bot.node._estimator
        infer, close = estimator.infer, estimator.close

        def slow(batch):
            self.entered.set()
            self._go.wait(20)
            return infer(batch)

        def closing():
            self.closed = True
            close()

        monkeypatch.setattr(estimator, "infer", slow)
        monkeypatch.setattr(estimator, "close", closing)

    def release(self):
        self._go.set()


@contextlib.contextmanager
def hanging(model, monkeypatch):
    """A node with an image in a network that does not end."""
    monkeypatch.setattr(node_module, "_PATIENCE", 0.3)
    with robot(model) as bot:
        bot.activate()
        bot.listen("depth")
        hang = Hang(bot, monkeypatch)
        try:
            bot.send(image())
            assert hang.entered.wait(10)
            yield bot, hang
        finally:
            hang.release()


def trigger(bot, transition):
    return getattr(bot.node, f"trigger_{transition}")().name


def test_a_network_that_hangs_is_an_error_in_diagnostics(model, monkeypatch):
    with hanging(model, monkeypatch) as (bot, hang):
        bot.node.set_parameters(parameters(image_timeout=0.2))
        wait_until(lambda: "in the network for" in bot.values("engine")["problem"])
        assert bot.level("engine") == DiagnosticStatus.ERROR
        assert "engine hangs" in wait_until(lambda: bot.said("in the network for"))[0]
        hang.release()
        wait_until(lambda: bot.level("engine") == DiagnosticStatus.OK)


def test_activate_is_refused_while_an_image_hangs_and_works_when_it_has_ended(model, monkeypatch):
    with hanging(model, monkeypatch) as (bot, hang):
        assert trigger(bot, "deactivate") == "SUCCESS"
        assert "still in the network" in wait_until(lambda: bot.said("still in the network"))[0]
        assert trigger(bot, "activate") == "FAILURE"
        wait_until(lambda: "still in the network" in bot.values("engine")["problem"])
        hang.release()
        wait_until(lambda: trigger(bot, "activate") == "SUCCESS", what="the image has ended")
        bot.process(image())
        bot.outputs("depth", 1)


def test_cleanup_leaves_an_engine_behind_that_is_in_use_and_configure_loads_another(
    model, monkeypatch
):
    with hanging(model, monkeypatch) as (bot, hang):
        assert trigger(bot, "deactivate") == "SUCCESS"
        assert trigger(bot, "cleanup") == "SUCCESS"
        assert not hang.closed
        bot.activate()
        bot.listen("depth")
        bot.process(image())
        bot.outputs("depth", 1)


def test_failing_images_stay_a_warning_and_too_many_break_the_node(model, monkeypatch):
    def broken(batch):
        raise RuntimeError("an illegal memory access was encountered")

    with robot(model) as bot:
        bot.activate()
        bot.listen("depth")
        monkeypatch.setattr(bot.node._estimator, "infer", broken)
        bot.process(image())
        wait_until(lambda: bot.level("frames") == DiagnosticStatus.WARN)
        seen = len(bot.diagnostics)
        wait_until(lambda: len(bot.diagnostics) > seen + 1)
        levels = {array.status[1].level for array in bot.diagnostics[seen:]}
        assert levels == {DiagnosticStatus.WARN}, "until an image gets through"
        assert not bot.node.broken
        for _ in range(FAILURES_UNTIL_BROKEN):
            bot.process(image())
        wait_until(lambda: bot.node.broken)
        wait_until(lambda: "images in a row" in bot.values("engine")["problem"])


def test_the_process_of_a_broken_node_ends_with_a_status_that_asks_for_another(model):
    code = (
        "import sys, mtpano_ros.node as node\n"
        "class Broken(node.PanoNode):\n"
        "    def _tick(self):\n"
        "        self.broken = True\n"
        "sys.exit(node.run(Broken))"
    )
    command = [sys.executable, "-c", code, "--ros-args", "-p", f"model:={model}"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], timeout=30, check=False)
    assert done.returncode == 1


def test_a_failed_activate_is_a_problem_in_diagnostics_and_a_failed_configure_leaves_no_topic(
    model,
):
    bad = {"qos_overrides./mtpano/semantic.publisher.reliability": "bogus"}
    with robot(model, **bad) as bot:
        assert trigger(bot, "configure") == "FAILURE"
        assert not [p for p in bot.node.publishers if p.topic_name == "/mtpano/depth"]
    bad = {"qos_overrides./mtpano/image.subscription.reliability": "bogus"}
    with robot(model, **bad) as bot:
        assert trigger(bot, "configure") == "SUCCESS"
        assert trigger(bot, "activate") == "FAILURE"
        wait_until(lambda: "bogus" in bot.values("engine")["problem"])
    bad = {"qos_overrides./diagnostics.publisher.reliability": "bogus"}
    with robot(model, **bad) as bot:
        assert trigger(bot, "configure") == "FAILURE"
        wait_until(lambda: "bogus" in bot.values("engine")["problem"])
