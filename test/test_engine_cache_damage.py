"""A damaged engine in the cache: never used, built again, and the log says what was wrong."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cached_engines
import pytest
from cached_engines import engine_file, open_and_check
from fake_model import write_fake_model
from stand_ins.machine import Machine
from stand_ins.trt_build import write_plan

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.engines.cache import EngineCache
from mtpano_model.inference.engines.tensorrt import plans
from mtpano_model.inference.engines.tensorrt.engine import TensorRTEngine

machine, model, cache = cached_engines.machine, cached_engines.model, cached_engines.cache


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def put_plan(path: Path, plan: bytes) -> None:
    """Another engine, one that the sidecar vouches for."""
    path.write_bytes(plan)
    sidecar = json.loads(path.with_suffix(".json").read_text())
    sidecar |= {"bytes": len(plan), "sha256": hashlib.sha256(plan).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(sidecar))


def foreign_sidecar(path: Path) -> None:
    sidecar = json.loads(path.with_suffix(".json").read_text())
    sidecar["facts"]["gpu"] = "another"
    path.with_suffix(".json").write_text(json.dumps(sidecar))


DAMAGES = {
    "truncated": (truncate, "is truncated"),
    "damaged": (flip_a_byte, "checksum does not match"),
    "refused by TensorRT": (lambda p: put_plan(p, b"not a plan"), "magicTag mismatch"),
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
    "sidecar too deep": (
        lambda p: p.with_suffix(".json").write_text("[" * 100_000),
        "sidecar of",
    ),
    "sidecar with a number for a name": (
        lambda p: p.with_suffix(".json").write_text(
            '{"format": 1, "facts": {"model": ""}, "file": 3, "bytes": 0, "sha256": ""}'
        ),
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
    open_and_check(model, cache)
    small = write_fake_model(cache.folder / "small.onnx", (32, 64), tail="gpu")
    put_plan(engine_file(cache), write_plan(machine, small.read_bytes()))
    open_and_check(model, cache)
    assert machine.counts["builds"] == 2
    assert "its tensors are" in caplog.text


def test_a_new_engine_that_is_no_engine_is_one_sentence(
    machine: Machine, model: Path, cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "build_in_process", lambda *_: b"garbage")
    with pytest.raises(
        MtpanoError, match=r"just built of .* is of no use .*: check that"
    ) as caught:
        TensorRTEngine(model, cache=cache)
    assert not isinstance(caught.value, plans.PlanRejected)
