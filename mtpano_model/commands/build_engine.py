"""`mtpano build-engine`: build and cache a TensorRT engine, then exit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Literal

import numpy as np
from tyro.conf import Positional

from mtpano_model.errors import writing
from mtpano_model.graph.model_info import find_model, read_model_info
from mtpano_model.inference.engines.cache import EngineCache
from mtpano_model.inference.engines.progress import BuildProgress, ProgressCallback
from mtpano_model.inference.engines.tensorrt.builder import BuildSettings
from mtpano_model.inference.engines.tensorrt.engine import TensorRTEngine
from mtpano_model.inference.engines.tensorrt.graph import prepare_graph, resolve_precision
from mtpano_model.inference.engines.tensorrt.profile import describe_engine
from mtpano_model.pictures.output_size import parse_output_size
from mtpano_model.pictures.size import Size


@dataclass
class Args:
    """Build the TensorRT engine of a model for this machine's GPU and keep it for the node.

    The build takes minutes once; afterwards the node starts at once with the same model. Build
    when the robot is set up, and again after an update of TensorRT or of the model. The node
    notices both and builds by itself, but that delays its start. Ctrl-C stops the build.
    """

    model: Positional[str] = "default"
    """An ONNX file from `mtpano export` (with either tail), or the name of a bundled model."""
    precision: Literal["fp16", "fp32"] | None = None
    """Arithmetic of the engine; the default is fp16."""
    output_size: str | None = None
    """HEIGHTxWIDTH of the engine's outputs; the default is the network's input size. The node needs
    an engine for its `outputs.size` if that is a size and `level` is off."""
    workspace_mb: int | None = None
    """Scratch memory in MiB for a layer. The default is all of the GPU's memory; on a Jetson, a
    quarter of the shared memory and at most 2048."""
    optimization_level: int = 3
    """0 (built in seconds, slower engine) to 5 (a long search for the fastest engine)."""
    cache: Path | None = None
    """Folder of the engine; the default is $XDG_CACHE_HOME/mtpano/engines, where the node looks."""
    rebuild: bool = False
    """Build even if a fitting engine is cached, for instance at another optimization level."""
    keep_graph: Path | None = None
    """Also write the graph that TensorRT builds from to this .onnx file, such as for trtexec."""
    profile: Path | None = None
    """Also write the engine's layers, their precision and their times to this .json file; this
    always builds the engine again."""


def run(args: Args) -> int:
    """Build the engine if needed, run it and print where it is cached; 0 if it runs."""
    path = find_model(args.model)
    size = None if args.output_size is None else parse_output_size(args.output_size)
    settings = BuildSettings(
        args.workspace_mb, args.optimization_level, detailed=args.profile is not None
    )
    if args.keep_graph is not None:
        _keep_graph(path, args, size)
    cache = EngineCache(args.cache)
    before = {sidecar["file"]: sidecar["sha256"] for sidecar in cache.sidecars()}
    seen: list[BuildProgress] = []  # none of a cached engine
    with _bar() as show:

        def progress(now: BuildProgress) -> None:
            seen[:] = [now]
            show(now)

        engine = TensorRTEngine(
            path,
            precision=args.precision,
            progress=progress,
            settings=settings,
            cache=cache,
            rebuild=args.rebuild or args.profile is not None,
            use_graph=args.profile is None,
            output_size=size,
        )
    milliseconds = _time(engine)
    if args.profile is not None:
        _write(args.profile, json.dumps(describe_engine(engine), indent=1))
    engine.close()
    kept = [sidecar for sidecar in cache.sidecars() if sidecar["source"] == str(path.absolute())]
    fresh = [sidecar for sidecar in kept if before.get(sidecar["file"]) != sidecar["sha256"]]
    if fresh:
        size = fresh[-1]["bytes"] / 2**20
        print(f"built {cache.folder / fresh[-1]['file']} ({size:.0f} MiB)")
    elif not seen:
        print(f"an engine that fits is cached in {cache.folder}; --rebuild builds it again")
    else:
        print(f"built, but it could not be stored in {cache.folder}")
    print(f"{engine.precision} on the GPU: {milliseconds:.1f} ms per picture")
    return 0


def _keep_graph(path: Path, args: Args, size: Size | None) -> None:
    info = read_model_info(path)
    target = args.keep_graph
    assert target is not None
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        prepare_graph(info, resolve_precision(info, args.precision), target, size=size)
    print(f"the graph that TensorRT builds from: {target}")


def _write(path: Path, text: str) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"the engine's layers: {path}")


@contextmanager
def _bar() -> Iterator[ProgressCallback]:
    """A bar during the build, if rich is installed; the log reports progress in any case."""
    if find_spec("rich") is None:
        yield lambda now: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0, visible=False)
        yield lambda now: bar.update(
            task, completed=now.fraction, description=now.phase, visible=True
        )


def _time(engine: TensorRTEngine, runs: int = 10) -> float:
    """Median milliseconds per picture, including the copies to and from the GPU."""
    image = np.zeros(engine.input_shape, np.uint8)
    times = []
    for _ in range(runs):
        begin = perf_counter()
        engine.infer(image)
        times.append(perf_counter() - begin)
    return sorted(times)[runs // 2] * 1e3
