"""What makes configure fail, in one line each."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from fake_model import write_fake_model
from lifecycle_calls import change, state_of
from lifecycle_msgs.msg import Transition
from node_harness import robot, wait_until


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx")


def no_model(folder):
    return folder / "missing.onnx"


def corrupt_model(folder):
    path = folder / "corrupt.onnx"
    path.write_bytes(b"\x08\x07 this is no model" * 50)
    return path


def truncated_model(folder):
    whole = write_fake_model(folder / "whole.onnx").read_bytes()
    path = folder / "cut.onnx"
    path.write_bytes(whole[: len(whole) // 2])
    return path


def foreign_model(folder):
    return write_fake_model(folder / "foreign.onnx", with_metadata=False)


@pytest.mark.parametrize("autostart", [False, True])
@pytest.mark.parametrize(
    ("make", "told"),
    [
        (no_model, "does not exist"),
        (corrupt_model, "cannot be read as ONNX"),
        (truncated_model, "cannot be read as ONNX"),
        (foreign_model, "has no 'mtpano' metadata"),
    ],
)
def test_a_bad_model_makes_configure_fail_with_one_line(make, told, autostart, tmp_path):
    with robot(make(tmp_path), autostart=autostart) as bot:
        if not autostart:
            wait_until(lambda: bot.world.count_publishers("/rosout") > 1)
            assert not change(bot, Transition.TRANSITION_CONFIGURE)
        wait_until(lambda: bot.said("configure failed"), what="the reason")
        assert state_of(bot) == "unconfigured"
        (line,) = bot.said("configure failed")
        assert told in line
        assert "\n" not in line
        assert "Traceback" not in line
        wait_until(lambda: bot.diagnostics and told in bot.values("engine")["problem"])
        assert bot.values("engine")["state"] == "unconfigured"


def test_an_unknown_backend_makes_configure_fail(model):
    with robot(model, backend="cuda11") as bot:
        assert not change(bot, Transition.TRANSITION_CONFIGURE)
        wait_until(lambda: bot.said("backend is 'cuda11', expected auto or tensorrt"))
