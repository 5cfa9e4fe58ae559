"""The engine cache on a disk that is full or not ours, and among processes that die or wait."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import cached_engines
import onnx
import pytest
from cached_engines import open_and_check
from fake_model import write_fake_model
from stand_ins.machine import Machine

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.engines.cache import EngineCache

machine, model, cache = cached_engines.machine, cached_engines.model, cached_engines.cache


def test_a_cache_that_cannot_be_written_costs_a_build_each_start(
    machine: Machine, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    cache = EngineCache(tmp_path / "file" / "cache")  # root may write anywhere but not here
    open_and_check(model, cache)
    open_and_check(model, cache)
    assert machine.counts["builds"] == 2
    warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert "set XDG_CACHE_HOME" in warnings[0].getMessage()


def test_a_full_disk_leaves_nothing_half_written(
    machine: Machine,
    model: Path,
    cache: EngineCache,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        open_and_check(model, cache)
    assert "No space left on device" in caplog.text
    assert {path.name for path in cache.folder.iterdir()} <= {"build.lock"}
    open_and_check(model, cache)
    open_and_check(model, cache)
    assert machine.counts["builds"] == 2


def test_a_full_disk_moves_the_intermediate_files_elsewhere(
    machine: Machine,
    model: Path,
    cache: EngineCache,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    room = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: room)
    seen: list[str] = []
    machine.on_step = lambda: seen.extend(path.name for path in elsewhere.iterdir())
    open_and_check(model, cache)
    assert seen
    assert not list(elsewhere.iterdir())


def test_nowhere_to_prepare_is_one_sentence(
    machine: Machine, model: Path, cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(onnx, "save", full)
    with pytest.raises(MtpanoError, match=r"cannot be prepared in .*No space left"):
        open_and_check(model, cache)


KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
import pytest
from pathlib import Path
from stand_ins.install import install
from stand_ins.machine import Machine
from mtpano_model.inference.engines.cache import EngineCache
from mtpano_model.inference.engines.tensorrt.engine import TensorRTEngine

die = lambda: os.kill(os.getpid(), signal.SIGKILL)
install(pytest.MonkeyPatch(), Machine(on_step=die))
TensorRTEngine(Path({model!r}), cache=EngineCache(Path({folder!r})))
"""


def test_killed_in_the_middle_of_a_build(machine: Machine, model: Path, cache: EngineCache) -> None:
    here = Path(__file__).parent
    script = KILLED.format(
        path=[str(here), str(here.parent)], model=str(model), folder=str(cache.folder)
    )
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr
    (leftover,) = cache.folder.glob("tmp-*")

    open_and_check(model, cache)  # the dead process's lock holds nobody up
    assert machine.counts["builds"] == 1
    assert leftover.exists()  # it could be another process at work
    two_days_ago = time.time() - 2 * 86400
    half_written = cache.folder / ".1234-5678.part"
    half_written.write_bytes(b"")
    for left in (leftover, half_written):
        os.utime(left, (two_days_ago, two_days_ago))
    write_fake_model(model, metadata={"revision": "new"})
    open_and_check(model, cache)
    assert not list(cache.folder.glob("tmp-*"))
    assert not half_written.exists()


def test_two_starts_at_once_build_once(machine: Machine, model: Path, cache: EngineCache) -> None:
    """Two nodes with one model come up together: the second waits for the first's engine."""
    building, second_waits = threading.Event(), threading.Event()

    def hold_the_build() -> None:
        building.set()
        assert second_waits.wait(20)

    machine.on_step = hold_the_build
    first = threading.Thread(target=open_and_check, args=(model, cache))
    first.start()
    assert building.wait(20)
    phases: list[str] = []

    def note(progress: object) -> None:
        phases.append(progress.phase)  # type: ignore[attr-defined]
        second_waits.set()

    open_and_check(model, cache, progress=note)
    first.join()
    assert machine.counts["builds"] == 1
    assert "waiting for another process's build" in phases
