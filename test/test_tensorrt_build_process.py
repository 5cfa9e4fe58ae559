"""Building in a process of its own: progress, refusals, cancelling, and a child that dies."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.engines.progress import BuildCancelled, BuildMonitor, BuildProgress
from mtpano_model.inference.engines.tensorrt import build_process
from mtpano_model.inference.engines.tensorrt.build_process import build_in_process
from mtpano_model.inference.engines.tensorrt.builder import BuildOrder, BuildRefused

# What the child imports as tensorrt: the stand-in on a machine with the faults that a file names.
SITE = """
import os, pathlib, sys, time
sys.path.insert(0, {tests!r})
from stand_ins.machine import Machine
from stand_ins.trt import make_tensorrt

def step():
    pathlib.Path(os.environ["STEPS"]).open("a").write("x")
    if "slow" in machine.faults:
        time.sleep(30)
    if "raises" in machine.faults:
        raise RuntimeError("vector::_M_range_check")
    if "exits" in machine.faults:
        os._exit(3)
    if "dies" in machine.faults:
        os.kill(os.getpid(), {kill})
    print("libraries print what they like")

machine = Machine(faults=set(filter(None, os.environ["FAULTS"].split(","))), on_step=step)
sys.modules["tensorrt"] = make_tensorrt(machine)
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the child writes a letter a step."""
    site = tmp_path / "site"
    site.mkdir()
    text = SITE.format(tests=str(Path(__file__).parent), kill=int(signal.SIGKILL))
    (site / "tensorrt.py").write_text(text)
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    monkeypatch.setenv("FAULTS", "")
    monkeypatch.setenv("STEPS", str(tmp_path / "steps"))
    return tmp_path / "steps"


def order(tmp_path: Path) -> BuildOrder:
    from fake_model import write_fake_model

    path = write_fake_model(tmp_path / "m.onnx", (32, 64), tail="gpu")
    return BuildOrder(str(path), "fp16", False, "", 64, 1, False)


def test_the_engine_comes_back_with_progress_and_log(
    child: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "mtpano_model")
    seen: list[BuildProgress] = []
    plan = build_in_process(None, order(tmp_path), BuildMonitor(seen.append))
    assert plan.startswith(b"stand-in plan")
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert {"reading the graph", "Timing kernels"} <= {progress.phase for progress in seen}
    assert "TensorRT wrote 0 messages" in caplog.text


def test_a_refusal_is_one_with_tensorrt_s_reason(
    child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULTS", "no build")
    with pytest.raises(BuildRefused, match="no implementation for node Conv_1"):
        build_in_process(None, order(tmp_path), BuildMonitor())


def test_a_driver_too_old_is_no_refusal_of_the_graph(
    child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULTS", "no start")
    with pytest.raises(MtpanoError, match="does not start on this machine") as caught:
        build_in_process(None, order(tmp_path), BuildMonitor())
    assert not isinstance(caught.value, BuildRefused)


def test_a_child_that_the_system_kills_is_told(
    child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULTS", "dies")
    with pytest.raises(MtpanoError, match="was killed, as the system does where memory runs out"):
        build_in_process(None, order(tmp_path), BuildMonitor())


def test_a_child_that_cannot_import_is_told(
    child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FAULTS")
    with pytest.raises(MtpanoError, match=r"TensorRT cannot be imported .KeyError"):
        build_in_process(None, order(tmp_path), BuildMonitor())


def test_a_child_that_ends_without_an_answer_is_told(
    child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULTS", "exits")
    with pytest.raises(MtpanoError, match="ended with status 3 before it was done"):
        build_in_process(None, order(tmp_path), BuildMonitor())


def test_an_error_of_any_kind_is_one_sentence(
    child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULTS", "raises")
    with pytest.raises(MtpanoError, match=r"fails to build .*RuntimeError: vector::_M_range"):
        build_in_process(None, order(tmp_path), BuildMonitor())


def test_what_the_child_s_python_prints_is_no_answer(child: Path, tmp_path: Path) -> None:
    (tmp_path / "site" / "sitecustomize.py").write_text("print('hello'); print('[1]'); print('{')")
    assert build_in_process(None, order(tmp_path), BuildMonitor()).startswith(b"stand-in plan")


def test_a_long_step_is_told_all_the_while(
    child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULTS", "slow")
    cancel, seconds = threading.Event(), []

    def watch(progress: BuildProgress) -> None:
        if child.exists():  # in the first step, which takes half a minute
            seconds.append(progress.seconds)
        if len(seconds) == 5:
            cancel.set()

    with pytest.raises(BuildCancelled):
        build_in_process(None, order(tmp_path), BuildMonitor(watch, cancel))
    assert seconds[-1] - seconds[0] > 0.3


def test_an_engine_that_vanishes_is_one_sentence(
    child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_process, "_follow", lambda *_: {"done": True})
    with pytest.raises(MtpanoError, match=r"cannot be read from .*No such file"):
        build_in_process(None, order(tmp_path), BuildMonitor())


def test_a_full_disk_is_told(child: Path, tmp_path: Path) -> None:
    given = order(tmp_path)
    Path(given.model).with_suffix(".plan").mkdir()  # no file can be written there
    with pytest.raises(MtpanoError, match="the engine cannot be written to"):
        build_in_process(None, given, BuildMonitor())


@pytest.mark.parametrize("ended", [BuildCancelled, KeyboardInterrupt])
def test_cancelling_and_ctrl_c_end_the_child_within_a_step(
    child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: type[BaseException]
) -> None:
    monkeypatch.setenv("FAULTS", "slow")
    cancel = threading.Event()

    def end_once_it_builds() -> None:
        while not child.exists():
            time.sleep(0.05)
        if ended is BuildCancelled:
            cancel.set()
        else:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
    try:
        threading.Thread(target=end_once_it_builds, daemon=True).start()
        with pytest.raises(ended):
            build_in_process(None, order(tmp_path), BuildMonitor(cancel=cancel))
    finally:
        signal.signal(signal.SIGINT, before)
    assert child.read_text() == "x"


def test_an_error_in_the_callback_ends_the_child_and_comes_out(child: Path, tmp_path: Path) -> None:
    def broken(progress: BuildProgress) -> None:
        if progress.fraction > 0.3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        build_in_process(None, order(tmp_path), BuildMonitor(broken))


def test_no_process_is_one_sentence(
    child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", os.fspath(tmp_path / "gone"))
    with pytest.raises(MtpanoError, match="no process can be started"):
        build_in_process(None, order(tmp_path), BuildMonitor())
