"""The engine cache: found when it fits, built again when the machine or the model differs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import cached_engines
import onnx
import pytest
from cached_engines import engine_file, open_and_check
from fake_model import write_fake_model
from stand_ins.install import install
from stand_ins.machine import Machine

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.engines import cache as engine_cache
from mtpano_model.inference.engines.cache import (
    EngineCache,
    default_folder,
    model_digest,
)
from mtpano_model.inference.engines.tensorrt.engine import TensorRTEngine
from mtpano_model.inference.engines.tensorrt.plans import TensorRTFacts

FACTS = TensorRTFacts(
    model="a" * 64,
    tensorrt="10.3.0",
    gpu="Orin",
    compute_capability="8.7",
    multi_processors=16,
    gpu_gib=8,
    precision="fp16",
    input_shape=(1, 64, 128, 3),
    recipe=1,
)


machine, model, cache = cached_engines.machine, cached_engines.model, cached_engines.cache


def test_the_second_start_builds_nothing(
    machine: Machine, model: Path, cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    open_and_check(model, cache)
    assert "no engine of this model is cached" in caplog.text
    open_and_check(model, cache)
    assert machine.counts["builds"] == 1


@pytest.mark.parametrize("large", [True, False])
def test_a_large_engine_is_added_up_only_if_somebody_touched_it(
    machine: Machine, model: Path, cache: EngineCache, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    if large:
        monkeypatch.setattr(engine_cache, "_TOO_LARGE_TO_ADD_UP", 0)
    open_and_check(model, cache)
    added: list[int] = []
    real = hashlib.sha256
    monkeypatch.setattr(hashlib, "sha256", lambda *d: (added.append(len(d and d[0])), real(*d))[1])
    (engine,) = cache.folder.glob("*.engine")
    open_and_check(model, cache)
    assert (engine.stat().st_size not in added) == large
    engine.touch()
    open_and_check(model, cache)
    assert engine.stat().st_size in added
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
        "multi_processors": 16,
        "gpu_gib": 8,
        "precision": "fp16",
        "input_shape": [1, 64, 128, 3],
        "recipe": 3,
        "output_size": [64, 128],
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
    open_and_check(model, cache, precision="fp32")
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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"multi_processors": 8}, "built for multi processors 16, needed is 8"),
        ({"memory_bytes": 32 << 30}, "built for gpu gib 8, needed is 32"),
    ],
)
def test_an_engine_of_another_orin_or_power_mode_is_built_again(
    machine: Machine,
    model: Path,
    cache: EngineCache,
    caplog: pytest.LogCaptureFixture,
    change: dict[str, int],
    words: str,
) -> None:
    open_and_check(model, cache)
    for name, value in change.items():
        setattr(machine, name, value)
    open_and_check(model, cache)
    assert machine.counts["builds"] == 2
    assert words in caplog.text
    timings = {path.name for path in cache.folder.glob("*.timings")}
    assert len(timings) == 2
