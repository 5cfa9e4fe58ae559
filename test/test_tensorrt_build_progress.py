"""A build is followed, told in the log and cancelled."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import cached_engines
import pytest
import tensorrt_machines
from stand_ins.machine import Machine
from stand_ins.trt_build import STEPS

from mtpano_model.inference.engines.cache import EngineCache
from mtpano_model.inference.engines.progress import BuildCancelled, BuildMonitor, BuildProgress
from mtpano_model.inference.engines.tensorrt.engine import TensorRTEngine

machine, model = tensorrt_machines.machine, tensorrt_machines.model
cache = cached_engines.cache


def test_progress_rises_to_one_and_names_the_phase(
    machine: Machine, model: Path, cache: EngineCache
) -> None:
    seen: list[BuildProgress] = []
    TensorRTEngine(model, cache=cache, progress=seen.append).close()
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0, 1)
    assert len(set(fractions)) == 1 + STEPS[0] * STEPS[1]  # inner steps count within outer ones
    assert {"preparing the graph", "reading the graph", "Timing kernels"} <= {
        progress.phase for progress in seen
    }


def test_the_log_tells_of_a_long_build(
    machine: Machine,
    model: Path,
    cache: EngineCache,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("mtpano_model.inference.engines.progress._LOG_EVERY", 0.0)
    TensorRTEngine(model, cache=cache).close()
    assert "which can take minutes" in caplog.text
    assert "engine build: 50 %, Timing kernels" in caplog.text
    assert "engine built in" in caplog.text


def test_a_build_can_be_cancelled(machine: Machine, model: Path, cache: EngineCache) -> None:
    cancel = threading.Event()
    steps = []

    def second_step_cancels() -> None:
        steps.append(1)
        if len(steps) == 2:
            cancel.set()

    machine.on_step = second_step_cancels
    with pytest.raises(BuildCancelled, match="cancelled"):
        TensorRTEngine(model, cache=cache, cancel=cancel)
    assert len(steps) == 2
    assert not list(cache.folder.glob("*.engine"))
    machine.on_step = None
    TensorRTEngine(model, cache=cache).close()


def test_cancelled_before_it_began(machine: Machine, model: Path, cache: EngineCache) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(BuildCancelled):
        TensorRTEngine(model, cache=cache, cancel=cancel)
    assert "builds" not in machine.counts


def test_an_error_in_the_callback_comes_out_as_it_is(
    machine: Machine, model: Path, cache: EngineCache
) -> None:
    def broken(progress: BuildProgress) -> None:
        if progress.fraction > 0.3:
            raise ZeroDivisionError("in the callback")

    with pytest.raises(ZeroDivisionError):
        TensorRTEngine(model, cache=cache, progress=broken)


def test_outermost_phases_in_turn_each_move_the_bar() -> None:
    """The first one's end is not the build's: the bar goes on, and is full when that is said."""
    seen: list[BuildProgress] = []
    monitor = BuildMonitor(seen.append)
    for name in ("first", "second", "third"):
        monitor.begin(name, None, 4)
        for step in range(4):
            monitor.step(name, step)
        monitor.finish(name)
    fractions = [progress.fraction for progress in seen]
    assert fractions[:4] == [0, 0.25, 0.5, 0.75]
    assert fractions == sorted(fractions)
    assert max(fractions) < 1
    ends = [max(p.fraction for p in seen if p.phase == name) for name in ("first", "second")]
    assert ends == [0.75, 0.75 + 0.25 * 0.75]
    monitor.report("built", 1.0)
    assert seen[-1].fraction == 1
