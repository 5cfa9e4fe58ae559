"""ONNX file -> TensorRT engine bytes, with the names that TensorRT 10.3 and 11.4 share."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.cache import write_atomically
from mtpano_model.inference.engines.tensorrt_library import (
    is_strongly_typed,
    make_logger,
    start,
)
from mtpano_model.inference.engines.tensorrt_progress import BuildMonitor, make_progress_monitor

log = logging.getLogger(__name__)

# What weak typing (below 10.12) needs to be told; absent from 11, hence by name.
_WEAK_FLAGS = {"fp32": (), "fp16": ("FP16",), "int8": ("INT8",)}


@dataclass(frozen=True)
class BuildSettings:
    """How an engine is built; it may cost time and memory, it does not change what is computed.

    workspace_mb: scratch memory in MiB a layer may use; None lets TensorRT take what the GPU has.
    optimization_level: 0 (seconds, slow engine) to 5 (long search, fastest engine).
    """

    workspace_mb: int | None = None
    optimization_level: int = 3

    def __post_init__(self) -> None:
        if self.workspace_mb is not None and self.workspace_mb < 1:
            raise MtpanoError(f"workspace of {self.workspace_mb} MiB: expected at least 1")
        if not 0 <= self.optimization_level <= 5:
            raise MtpanoError(f"optimization level {self.optimization_level}: expected 0 to 5")


def build_plan(
    tensorrt: Any,
    model: Path,
    precision: str,
    settings: BuildSettings,
    timing_file: Path | None,
    monitor: BuildMonitor,
) -> bytes:
    """Build an engine from a prepared ONNX file and return its serialized bytes.

    timing_file: where kernel timings are kept between builds, which makes the next one shorter.
    BuildCancelled when `monitor` says so, MtpanoError with TensorRT's reason when it refuses.
    """
    logger = make_logger(tensorrt)
    builder = start(tensorrt.Builder, tensorrt, logger)
    strong = is_strongly_typed(tensorrt)
    flags = 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED) if strong else 0
    network = builder.create_network(flags)
    parser = tensorrt.OnnxParser(network, logger)
    monitor.report("reading the graph")
    if not parser.parse_from_file(str(model)):
        raise MtpanoError(
            f"TensorRT {tensorrt.__version__} cannot read the graph of {model.name} "
            f"({_parser_errors(parser)}): update TensorRT or use backend onnxruntime"
        )
    config = builder.create_builder_config()
    if settings.workspace_mb is not None:
        config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, settings.workspace_mb << 20)
    config.builder_optimization_level = settings.optimization_level
    for name in () if strong else _WEAK_FLAGS[precision]:
        config.set_flag(getattr(tensorrt.BuilderFlag, name))
    timings = _use_timings(config, timing_file)
    config.progress_monitor = make_progress_monitor(tensorrt, monitor)

    plan = builder.build_serialized_network(network, config)
    if monitor.error is not None:
        raise monitor.error
    monitor.raise_if_cancelled()
    if plan is None:
        raise MtpanoError(
            f"TensorRT {tensorrt.__version__} could not build an engine from {model.name} "
            f"({logger.last_error or 'it gave no reason'}): free GPU memory or give it less "
            "workspace, or use backend onnxruntime"
        )
    _keep_timings(timings, timing_file)
    return bytes(plan)


def _parser_errors(parser: Any) -> str:
    errors = [parser.get_error(i).desc() for i in range(parser.num_errors)]
    return "; ".join(errors) or "it gave no reason"


def _use_timings(config: Any, file: Path | None) -> Any:
    """Attach the kept timings to `config`; damaged or foreign ones are replaced by none."""
    try:
        kept = file.read_bytes() if file is not None else b""
    except OSError:
        kept = b""
    for data in (kept, b"") if kept else (b"",):
        timings = config.create_timing_cache(data)
        if timings is not None and config.set_timing_cache(timings, False):
            return timings
        log.info("kernel timings in %s are of no use here, starting afresh", file)
    return None


def _keep_timings(timings: Any, file: Path | None) -> None:
    if timings is None or file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, bytes(timings.serialize()))
    except OSError as error:
        log.info("kernel timings are not kept: %s", error)
