"""The command that builds an engine and exits."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import onnx
import pytest
from fake_model import write_fake_model
from stand_ins.install import install
from stand_ins.machine import Machine

from mtpano_model.commands import main


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return install(monkeypatch, Machine())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_fake_model(tmp_path / "rooms.onnx", (32, 64))


def test_builds_keeps_and_tells_where(
    machine: Machine, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build-engine", str(model), "--optimization-level", "5"]) == 0
    (engine,) = (tmp_path / "cache/mtpano/engines").glob("*.engine")
    out = capsys.readouterr().out
    assert f"built {engine}" in out
    assert "ms per picture" in out
    assert machine.last_build["level"] == 5
    assert machine.memory == {}  # it exits with nothing held


def test_a_second_call_says_that_nothing_was_to_do(
    machine: Machine, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["build-engine", str(model)])
    assert main(["build-engine", str(model)]) == 0
    assert "is cached in" in capsys.readouterr().out
    assert machine.counts["builds"] == 1
    assert main(["build_engine", str(model), "--rebuild", "--workspace-mb", "64"]) == 0
    assert machine.counts["builds"] == 2
    assert machine.last_build["workspace"] == 64 << 20


def test_without_rich_there_is_no_bar_but_an_engine(
    machine: Machine, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtpano_model.commands.build_engine.find_spec", lambda name: None)
    assert main(["build-engine", str(model)]) == 0
    assert machine.counts["builds"] == 1


def test_failures_are_one_line_and_status_1(
    machine: Machine, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, word in (
        ([str(model), "--keep-graph", "/proc/no/graph.onnx"], "cannot be written"),
        ([str(model), "--workspace-mb", "0"], "expected at least 1"),
        (["nowhere.onnx"], "does not exist"),
    ):
        assert main(["build-engine", *arguments]) == 1
        error = capsys.readouterr().err.strip()
        assert word in error
        assert "\n" not in error
    machine.faults = {"no driver"}
    assert main(["build-engine", str(model)]) == 1
    assert "NVIDIA driver" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_told(
    machine: Machine, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["build-engine", str(model), "--cache", str(model / "cache")]) == 0
    assert "could not be stored" in capsys.readouterr().out


def test_ctrl_c_ends_the_build_at_its_next_step(
    machine: Machine, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = []
    go_on = threading.Event()

    def interrupt() -> None:
        steps.append(1)
        if len(steps) == 1:
            os.kill(os.getpid(), signal.SIGINT)
            go_on.wait(1.0)  # as a kernel search would, while the main thread hears of it

    machine.on_step = interrupt
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
    try:
        assert main(["build-engine", str(model)]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert "interrupted" in capsys.readouterr().err
    assert len(steps) == 1
    assert machine.memory == {}


def test_the_graph_and_the_layers_can_be_looked_at(
    machine: Machine, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph, layers = tmp_path / "look" / "given.onnx", tmp_path / "look" / "layers.json"
    arguments = ["--keep-graph", str(graph), "--profile", str(layers)]
    assert main(["build-engine", str(model), *arguments]) == 0
    assert onnx.load(graph).SerializeToString() == machine.last_build["onnx"]
    assert machine.last_build["detailed"]
    told = json.loads(layers.read_text())
    assert told["layers"] == ["Conv_0 + Relu_1"]
    assert told["milliseconds"] == {"Conv_0 + Relu_1": 0.5}
    assert told["precision"] == "fp16"
    assert str(graph) in capsys.readouterr().out
