"""What an engine's layers are, in which precision, and how long each takes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from mtpano_model.inference.engines.tensorrt.engine import TensorRTEngine


def describe_engine(engine: TensorRTEngine, runs: int = 20) -> dict[str, Any]:
    """TensorRT's own account of an engine, and mean milliseconds of each layer over `runs` images.

    layers: as TensorRT's engine inspector tells them; names alone, unless the engine was built
    `detailed`. engine: one opened without a CUDA graph, in which layers cannot be told apart.
    """
    tensorrt, executor = engine.tensorrt, engine.executor
    inspector = executor.engine.create_engine_inspector()
    layers = json.loads(inspector.get_engine_information(tensorrt.LayerInformationFormat.JSON))
    profiler = make_profiler(tensorrt)
    executor.context.profiler = profiler
    image = np.zeros(engine.input_shape, np.uint8)
    for _ in range(runs):
        engine.infer(image)
    times = {name: round(total / runs, 4) for name, total in profiler.totals.items()}
    return {
        "tensorrt": tensorrt.__version__,
        "precision": engine.precision,
        "milliseconds": dict(sorted(times.items(), key=lambda entry: -entry[1])),
        "layers": layers["Layers"],
    }


def make_profiler(tensorrt: Any) -> Any:
    """A tensorrt.IProfiler that adds up the time of each layer."""

    class Profiler(tensorrt.IProfiler):
        def __init__(self) -> None:
            tensorrt.IProfiler.__init__(self)
            self.totals: dict[str, float] = {}

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            self.totals[layer_name] = self.totals.get(layer_name, 0.0) + ms

    return Profiler()
