"""A cache of engines, starts of an engine that goes through it, and what the cache then holds."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_model import write_fake_model
from stand_ins.install import install
from stand_ins.machine import Machine

from mtpano_model.inference.engines.cache import EngineCache
from mtpano_model.inference.engines.tensorrt.engine import TensorRTEngine

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


def open_and_check(model: Path, cache: EngineCache, **options: Any) -> None:
    """Whatever the cache went through, the engine must come up and be right: red 64 -> 2 m."""
    engine = TensorRTEngine(model, cache=cache, **options)
    np.testing.assert_allclose(engine.infer(GREY)["depth"], 2.0, rtol=1e-3)
    engine.close()


def engine_file(cache: EngineCache) -> Path:
    (path,) = cache.folder.glob("*.engine")
    return path
