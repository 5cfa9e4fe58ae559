"""What `ros2 run` and launch start ends without a traceback: a missing library, an early signal."""

from __future__ import annotations

import os
import runpy
import signal
import sys

import pytest

from mtpano_ros import start


@pytest.fixture(autouse=True)
def handlers():
    """The test run's own signal handlers come back afterwards."""
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def starting(monkeypatch):
    """Run `start` for `player`, whose import is replaced by a function."""

    def run(body) -> object:
        monkeypatch.setattr(sys, "argv", ["start", "player", "--rate", "1"])
        monkeypatch.setattr(runpy, "run_module", lambda *_args, **_options: body())
        with pytest.raises(SystemExit) as ended:
            start.main()
        return ended.value.code

    return run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_while_libraries_load_is_an_orderly_end(starting, number):
    assert starting(lambda: os.kill(os.getpid(), number)) == 0


@pytest.mark.parametrize(
    ("module", "remedy"), [("rclpy.node", "ROS 2"), ("cv2", "MTPANO_PYTHON"), ("tyro", "pip")]
)
def test_missing_library_is_one_line(starting, module, remedy):
    def body() -> None:
        raise ModuleNotFoundError(f"No module named '{module}'", name=module)

    message = starting(body)
    assert f"'{module.partition('.')[0]}'" in message
    assert sys.executable in message
    assert remedy in message
    assert "\n" not in message


def test_fault_of_our_own_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["start", "no_such_executable"])
    with pytest.raises(ImportError, match="no_such_executable"):
        start.main()


def test_executable_sees_only_its_own_arguments(starting):
    seen: list[str] = []

    def body() -> None:
        seen.extend(sys.argv[1:])
        sys.exit(3)

    assert starting(body) == 3
    assert seen == ["--rate", "1"]
