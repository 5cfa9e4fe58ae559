"""Starts of an engine that goes through a cache, and what the cache then holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mtpano_model.inference.engines.cache import EngineCache
from mtpano_model.inference.engines.tensorrt.engine import TensorRTEngine

GREY = np.full((1, 64, 128, 3), 64, np.uint8)


def open_and_check(model: Path, cache: EngineCache, **options: Any) -> None:
    """Whatever the cache went through, the engine must come up and be right: red 64 -> 2 m."""
    engine = TensorRTEngine(model, cache=cache, **options)
    np.testing.assert_allclose(engine.infer(GREY)["depth"], 2.0, rtol=1e-3)
    engine.close()


def engine_file(cache: EngineCache) -> Path:
    (path,) = cache.folder.glob("*.engine")
    return path
