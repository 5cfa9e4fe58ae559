"""What `ros2 run` and launch start ends without a traceback: a missing library, an early signal."""

from __future__ import annotations

import runpy
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mtpano_model.errors import MtpanoError
from mtpano_ros import start
from mtpano_ros.process.signals import ENDING, on_end, restore

ROOT = Path(__file__).parents[1]
# What imports do meanwhile: Python drops an exception that is raised in the last two.
AT_WORK = {
    "plainly": "strike()",
    "in a weakref callback": "one = A(); ref = weakref.ref(one, strike); del one",
    "in a finaliser": "A.__del__ = strike; one = A(); del one",
}


@pytest.fixture(autouse=True)
def handlers():
    """The test run's own signal handlers come back afterwards."""
    before = {one: signal.getsignal(one) for one in ENDING}
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


@pytest.mark.parametrize("number", ENDING)
@pytest.mark.parametrize("when", AT_WORK)
def test_signal_while_libraries_load_is_an_orderly_end(number, when):
    code = f"""
import os, runpy, sys, weakref
from mtpano_ros import start
class A: pass
def strike(*_):
    os.kill(os.getpid(), {int(number)})
def load(*_, **__):
    print("loading", flush=True)
    {AT_WORK[when]}
    print("still alive", flush=True)
runpy.run_module = load
sys.argv = ["start", "player"]
start.main()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "loading\n", "")


@pytest.mark.parametrize("number", ENDING)
def test_signal_while_python_ends_changes_nothing(number):
    code = f"""
import os, runpy, sys
from mtpano_ros import start
class A:
    def __del__(self, kill=os.kill, pid=os.getpid()):
        kill(pid, {int(number)})
def load(*_, **__):
    raise SystemExit(3)
runpy.run_module = load
last = A()
sys.argv = ["start", "player"]
start.main()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (3, "")


def test_what_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        restore(on_end(lambda *_: None))
        on_end(lambda *_: None)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("module", "remedy"), [("rclpy.node", "ROS 2"), ("cv2", "MTPANO_PYTHON"), ("tyro", "pip")]
)
def test_missing_library_is_one_line(starting, capsys, module, remedy):
    def body() -> None:
        raise ModuleNotFoundError(f"No module named '{module}'", name=module)

    assert starting(body) == 1
    message = capsys.readouterr().err
    assert f"'{module}'" in message
    assert sys.executable in message
    assert remedy in message
    assert message.count("\n") == 1


@pytest.mark.parametrize("module", ["rclpy", "sensor_msgs", "numpy"])
@pytest.mark.parametrize("kind", [ImportError, ModuleNotFoundError])
def test_library_of_another_python_is_one_line(
    starting, capsys, tmp_path, monkeypatch, module, kind
):
    package = tmp_path / f"{module}_of_another"
    (package / "core").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "core" / "_ext.cpython-27-x86_64-linux-gnu.so").touch()
    monkeypatch.syspath_prepend(tmp_path)

    def body() -> None:
        raise kind("cannot import\nmany lines", name=f"{package.name}.core._ext")

    assert starting(body) == 1
    message = capsys.readouterr().err
    assert f"cannot load '{package.name}', which was built for Python 2.7" in message
    assert "MTPANO_PYTHON" in message
    assert message.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ZeroDivisionError("zero\nsecond"), "ZeroDivisionError: zero second ("),
        (KeyError("x"), "KeyError: 'x' ("),
        (RuntimeError(), "RuntimeError"),
        (MtpanoError("value, expected, do"), "value, expected, do\n"),
        (FileExistsError(17, "File exists", "out"), "'out' cannot be used (FileExistsError: "),
        (ImportError("no", name="mtpano_ros.nothing"), "ImportError: no ("),
    ],
)
def test_whatever_else_ends_it_is_one_line(starting, capsys, error, line):
    def body() -> None:
        raise error

    assert starting(body) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {line}")
    assert said.count("\n") == 1


def test_executable_sees_only_its_own_arguments(starting):
    seen: list[str] = []

    def body() -> None:
        seen.extend(sys.argv[1:])
        sys.exit(3)

    assert starting(body) == 3
    assert seen == ["--rate", "1"]
