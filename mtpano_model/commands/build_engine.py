"""`mtpano build-engine`: build and cache a TensorRT engine, then exit."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np
from tyro.conf import Positional

from mtpano_model.inference.cache import EngineCache
from mtpano_model.inference.engines.tensorrt import TensorRTEngine
from mtpano_model.inference.engines.tensorrt_builder import BuildSettings
from mtpano_model.inference.engines.tensorrt_worker import BackgroundLoad
from mtpano_model.inference.model_info import find_model

_CANCEL_SECONDS = 30.0


@dataclass
class Args:
    """Build the TensorRT engine of a model for this machine's GPU and keep it for the node.

    It takes minutes once; afterwards the node starts at once with the same model. Do it when the
    robot is set up, and again after an update of TensorRT or of the model: the node notices both
    and would build by itself, but not while you wait. Ctrl-C stops it.
    """

    model: Positional[str] = "default"
    """An ONNX file from `mtpano export` (with either tail), or the name of a bundled model."""
    precision: Literal["fp16", "fp32", "int8"] | None = None
    """Arithmetic: fp16 if not given, int8 for a model that was exported as int8."""
    workspace_mb: int | None = None
    """Scratch memory in MiB that a layer may use; all that is free if not given."""
    optimization_level: int = 3
    """0 (seconds, slower engine) to 5 (a long search for the fastest)."""
    cache: Path | None = None
    """Folder to keep it in; $XDG_CACHE_HOME/mtpano/engines, where the node looks, if not given."""
    rebuild: bool = False
    """Build even if a fitting engine is cached, for instance at another optimization level."""


def run(args: Args) -> int:
    """Build if needed, try the engine once, tell where it lies; 0 when it runs."""
    path = find_model(args.model)
    settings = BuildSettings(args.workspace_mb, args.optimization_level)
    cache = EngineCache(args.cache)
    before = {sidecar["file"]: sidecar["sha256"] for sidecar in cache.sidecars()}
    load = BackgroundLoad(
        lambda progress, cancel: TensorRTEngine(
            path,
            precision=args.precision,
            progress=progress,
            cancel=cancel,
            settings=settings,
            cache=cache,
            rebuild=args.rebuild,
        )
    )
    try:
        _show(load)
    except KeyboardInterrupt:
        load.cancel()
        load.wait(_CANCEL_SECONDS)
        raise
    engine = load.result()
    milliseconds = _time(engine)
    engine.close()
    kept = [sidecar for sidecar in cache.sidecars() if sidecar["source"] == str(path.absolute())]
    fresh = [sidecar for sidecar in kept if before.get(sidecar["file"]) != sidecar["sha256"]]
    if fresh:
        size = fresh[-1]["bytes"] / 2**20
        print(f"built {cache.folder / fresh[-1]['file']} ({size:.0f} MiB)")
    elif load.progress is None:
        print(f"an engine that fits is cached in {cache.folder}; --rebuild builds it again")
    else:
        print(f"built, but it could not be kept in {cache.folder}")
    print(f"{engine.precision} on the GPU: {milliseconds:.1f} ms a picture")
    return 0


def _show(load: BackgroundLoad[TensorRTEngine]) -> None:
    """A bar while it builds, where rich is installed; the log tells of it in any case."""
    if find_spec("rich") is None:
        load.wait()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = None
        while not load.wait(0.1):
            if load.progress is None:
                continue
            if task is None:
                task = bar.add_task("", total=1.0)
            bar.update(task, completed=load.progress.fraction, description=load.progress.phase)


def _time(engine: TensorRTEngine, runs: int = 10) -> float:
    """Median milliseconds of a picture, copies to and from the GPU included."""
    image = np.zeros(engine.input_shape, np.uint8)
    times = []
    for _ in range(runs):
        begin = perf_counter()
        engine.infer(image)
        times.append(perf_counter() - begin)
    return sorted(times)[runs // 2] * 1e3
