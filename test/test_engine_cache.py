"""The engine cache: found when it fits, built again, with the reason, when anything is wrong."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from fake_model import write_fake_model
from stand_ins.install import install
from stand_ins.machine import Machine

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.cache import EngineCache, EngineFacts, default_folder, model_digest
from mtpano_model.inference.engines.tensorrt import TensorRTEngine

FACTS = EngineFacts(
    model="a" * 64,
    tensorrt="10.3.0",
    gpu="Orin",
    compute_capability="8.7",
    precision="fp16",
    input_shape=(1, 64, 128, 3),
    recipe=1,
)
GREY = np.full((1, 64, 128, 3), 64, np.uint8)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Machine:
    caplog.set_level(logging.INFO)
    return install(monkeypatch, Machine())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_fake_model(tmp_path / "rooms.onnx")


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "cache")


def open_and_check(model: Path, cache: EngineCache, precision: str = "fp16") -> None:
    """Whatever the cache went through, the engine must come up and be right: red 64 -> 2 m."""
    engine = TensorRTEngine(model, precision=precision, cache=cache)
    np.testing.assert_allclose(engine.infer(GREY)["depth"], 2.0, rtol=1e-3)
    engine.close()


def engine_file(cache: EngineCache) -> Path:
    (path,) = cache.folder.glob("*.engine")
    return path


def test_the_second_start_builds_nothing(
    machine: Machine, model: Path, cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    open_and_check(model, cache)
    assert "no engine of this model is cached" in caplog.text
    open_and_check(model, cache)
    assert machine.counts["builds"] == 1


def test_sidecar_says_what_the_engine_is_for(
    machine: Machine, model: Path, cache: EngineCache
) -> None:
    open_and_check(model, cache)
    sidecar = json.loads(engine_file(cache).with_suffix(".json").read_text())
    assert sidecar["facts"] == {
        "model": model_digest(model, []),
        "tensorrt": "10.3.0",
        "gpu": "Orin",
        "compute_capability": "8.7",
        "precision": "fp16",
        "input_shape": [1, 64, 128, 3],
        "recipe": 1,
    }
    assert sidecar["source"] == str(model)
    assert sidecar["bytes"] == engine_file(cache).stat().st_size


CHANGES = {
    "TensorRT": ({"tensorrt": "10.4.0"}, "tensorrt 10.3.0, needed is 10.4.0"),
    "GPU": ({"gpu": "Xavier"}, "gpu Orin, needed is Xavier"),
    "capability": ({"capability": (7, 2)}, "compute capability 8.7, needed is 7.2"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_another_machine_builds_its_own(
    machine: Machine,
    model: Path,
    cache: EngineCache,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    what: str,
) -> None:
    open_and_check(model, cache)
    change, reason = CHANGES[what]
    other = install(monkeypatch, replace(machine, counts={}, memory={}, streams={}, **change))
    open_and_check(model, cache)
    assert other.counts["builds"] == 1
    assert reason in caplog.text
    assert len(list(cache.folder.glob("*.engine"))) == 2  # the first machine's is still good


def test_another_precision_is_another_engine(
    machine: Machine, model: Path, cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    open_and_check(model, cache)
    open_and_check(model, cache, "fp32")
    assert "precision fp16, needed is fp32" in caplog.text
    open_and_check(model, cache)
    assert machine.counts["builds"] == 2


def test_a_replaced_model_file_replaces_its_engine(
    machine: Machine, model: Path, cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    open_and_check(model, cache)
    write_fake_model(model, metadata={"revision": "another"})
    open_and_check(model, cache)
    assert machine.counts["builds"] == 2
    assert "the model file has other contents" in caplog.text
    assert engine_file(cache)  # exactly one


def test_models_of_one_name_in_two_folders_do_not_push_each_other_out(
    machine: Machine, tmp_path: Path, cache: EngineCache
) -> None:
    paths = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        paths.append(write_fake_model(tmp_path / name / "m.onnx", metadata={"revision": name}))
    for path in (*paths, *paths):
        open_and_check(path, cache)
    assert machine.counts["builds"] == 2


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def forge(path: Path) -> None:
    """Bytes that the sidecar vouches for and TensorRT does not take."""
    import hashlib

    path.write_bytes(b"not a plan")
    sidecar = json.loads(path.with_suffix(".json").read_text())
    sidecar |= {"bytes": 10, "sha256": hashlib.sha256(b"not a plan").hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(sidecar))


def foreign_sidecar(path: Path) -> None:
    sidecar = json.loads(path.with_suffix(".json").read_text())
    sidecar["facts"]["gpu"] = "another"
    path.with_suffix(".json").write_text(json.dumps(sidecar))


DAMAGES = {
    "truncated": (truncate, "is truncated"),
    "damaged": (flip_a_byte, "checksum does not match"),
    "refused by TensorRT": (forge, "magicTag mismatch"),
    "empty": (lambda p: p.write_bytes(b""), "is truncated: 0 of"),
    "gone": (lambda p: p.unlink(), "is missing beside its sidecar"),
    "a folder": (lambda p: (p.unlink(), p.mkdir()), "cannot be read: Is a directory"),
    "killed before the sidecar": (lambda p: p.with_suffix(".json").unlink(), "has no sidecar"),
    "sidecar garbage": (lambda p: p.with_suffix(".json").write_bytes(b"\xff{"), "sidecar of"),
    "sidecar of another format": (lambda p: p.with_suffix(".json").write_text("[]"), "sidecar of"),
    "sidecar without facts": (
        lambda p: p.with_suffix(".json").write_text('{"format": 1, "facts": null}'),
        "sidecar of",
    ),
    "copied from elsewhere": (foreign_sidecar, "gpu another, needed is Orin"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_heals_itself(
    machine: Machine,
    model: Path,
    cache: EngineCache,
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    open_and_check(model, cache)
    hurt, reason = DAMAGES[damage]
    hurt(engine_file(cache))
    if damage == "a folder":  # nothing can be written there either: used without being kept
        open_and_check(model, cache)
        assert reason in caplog.text
        return
    open_and_check(model, cache)
    assert machine.counts["builds"] == 2
    assert reason in caplog.text
    open_and_check(model, cache)
    assert machine.counts["builds"] == 2


def test_an_engine_of_other_tensors_is_built_again(
    machine: Machine, model: Path, cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever tampers with the cache must not make the engine write outside its buffers."""
    import hashlib

    from stand_ins.trt_build import write_plan

    open_and_check(model, cache)
    path = engine_file(cache)
    small = write_fake_model(path.parent / "small.onnx", (32, 64), tail="gpu")
    plan = write_plan(machine, small.read_bytes())
    path.write_bytes(plan)
    sidecar = json.loads(path.with_suffix(".json").read_text())
    sidecar |= {"bytes": len(plan), "sha256": hashlib.sha256(plan).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(sidecar))
    open_and_check(model, cache)
    assert machine.counts["builds"] == 2
    assert "its tensors are" in caplog.text


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
from mtpano_model.inference.cache import EngineCache
from mtpano_model.inference.engines.tensorrt import TensorRTEngine

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
    os.utime(leftover, (two_days_ago, two_days_ago))
    write_fake_model(model, metadata={"revision": "new"})
    open_and_check(model, cache)
    assert not list(cache.folder.glob("tmp-*"))


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

    engine = TensorRTEngine(model, cache=cache, progress=note)
    first.join()
    assert machine.counts["builds"] == 1
    assert "waiting for another process's build" in phases
    np.testing.assert_allclose(engine.infer(GREY)["depth"], 2.0, rtol=1e-3)
    engine.close()


def test_external_data_is_part_of_the_key(
    machine: Machine, tmp_path: Path, cache: EngineCache
) -> None:
    path = write_fake_model(tmp_path / "big.onnx")
    onnx.save(
        onnx.load(str(path)),
        str(path),
        save_as_external_data=True,
        location="big.weights",
        size_threshold=0,
    )
    open_and_check(path, cache)
    open_and_check(path, cache)
    assert machine.counts["builds"] == 1
    weights = tmp_path / "big.weights"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    TensorRTEngine(path, cache=cache).close()
    assert machine.counts["builds"] == 2
    weights.unlink()
    with pytest.raises(MtpanoError, match=r"keeps its weights in .*big.weights"):
        TensorRTEngine(path, cache=cache)


def test_the_key_changes_with_every_fact() -> None:
    changes = [
        {"model": "b" * 64},
        {"tensorrt": "10.3.1"},
        {"gpu": "Orin Nano"},
        {"compute_capability": "8.6"},
        {"precision": "fp32"},
        {"input_shape": (1, 32, 64, 3)},
        {"recipe": 2},
    ]
    keys = {FACTS.key} | {replace(FACTS, **change).key for change in changes}
    assert len(keys) == 1 + len(changes)


def test_default_place_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "mtpano" / "engines"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/path")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "mtpano" / "engines"
