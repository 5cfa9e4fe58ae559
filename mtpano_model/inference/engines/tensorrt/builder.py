"""ONNX file -> TensorRT engine bytes, with the names that TensorRT 10.3 and 11.4 share."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.engines.progress import BuildMonitor, make_progress_monitor
from mtpano_model.inference.engines.tensorrt.library import Gpu, make_logger, start
from mtpano_model.whole_files import write_whole

log = logging.getLogger(__name__)

_MIB = 1 << 20
# Of a GPU that shares the processor's memory: a quarter, and no more than any kernel of ours needs.
_SHARED_PART, _SHARED_MOST_MB = 4, 2048


@dataclass(frozen=True)
class BuildSettings:
    """How an engine is built; it may cost time and memory, it does not change what is computed.

    workspace_mb: scratch memory in MiB a layer may use; None lets TensorRT take what the GPU has,
        or a quarter of it, at most 2 GiB, where the GPU shares the processor's memory.
    optimization_level: 0 (seconds, slow engine) to 5 (long search, fastest engine).
    detailed: keep what the engine's layers are, for `profile.describe_engine`.
    """

    workspace_mb: int | None = None
    optimization_level: int = 3
    detailed: bool = False

    def __post_init__(self) -> None:
        if self.workspace_mb is not None and self.workspace_mb < 1:
            raise MtpanoError(f"workspace of {self.workspace_mb} MiB: expected at least 1")
        if not 0 <= self.optimization_level <= 5:
            raise MtpanoError(f"optimization level {self.optimization_level}: expected 0 to 5")

    def workspace_on(self, gpu: Gpu) -> int | None:
        """`workspace_mb`, or what fits a GPU that shares the processor's memory."""
        most = gpu.memory // _MIB
        if self.workspace_mb is not None and self.workspace_mb > most:
            raise MtpanoError(
                f"workspace of {self.workspace_mb} MiB: expected at most {most}, which is what the "
                f"GPU ({gpu.name}) has"
            )
        if self.workspace_mb is None and gpu.integrated:
            return min(gpu.memory // _MIB // _SHARED_PART, _SHARED_MOST_MB)
        return self.workspace_mb


@dataclass(frozen=True)
class BuildOrder:
    """One build, in plain values, so that it can be handed to another process.

    model: the prepared ONNX file. precision: fp32 or fp16. weakly_typed: let the builder choose
    the precision of each layer, up to 10.x. timing_file: where kernel timings are kept between
    builds, which makes the next one shorter; "" keeps none. The others: see BuildSettings.
    """

    model: str
    precision: str
    weakly_typed: bool
    timing_file: str
    workspace_mb: int | None
    optimization_level: int
    detailed: bool


class BuildRefused(MtpanoError):
    """TensorRT cannot read the graph, or finds no engine for it."""


def build_plan(tensorrt: Any, order: BuildOrder, monitor: BuildMonitor) -> bytes:
    """Build an engine and return its serialized bytes.

    BuildCancelled when `monitor` says so, BuildRefused with TensorRT's reason when it refuses.
    """
    model, timing_file = Path(order.model), Path(order.timing_file) if order.timing_file else None
    logger = make_logger(tensorrt)
    builder = start(tensorrt.Builder, tensorrt, logger)
    strong = int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(0 if order.weakly_typed else 1 << strong)
    parser = tensorrt.OnnxParser(network, logger)
    monitor.report("reading the graph")
    if not parser.parse_from_file(str(model)):
        raise BuildRefused(
            f"TensorRT {tensorrt.__version__} cannot read the graph of {model.name} "
            f"({_parser_errors(parser)}): update TensorRT or use backend onnxruntime"
        )
    config = builder.create_builder_config()
    if order.workspace_mb is not None:
        config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, order.workspace_mb * _MIB)
    config.builder_optimization_level = order.optimization_level
    if order.detailed:
        config.profiling_verbosity = tensorrt.ProfilingVerbosity.DETAILED
    if order.precision == "fp32":  # TF32, which is on otherwise, has the mantissa of fp16
        config.clear_flag(tensorrt.BuilderFlag.TF32)
    elif order.weakly_typed:
        config.set_flag(tensorrt.BuilderFlag.FP16)
    timings = _use_timings(config, timing_file)
    config.progress_monitor = make_progress_monitor(tensorrt, monitor)

    plan = builder.build_serialized_network(network, config)
    if monitor.error is not None:
        raise monitor.error
    monitor.raise_if_cancelled()
    if plan is None:
        raise BuildRefused(
            f"TensorRT {tensorrt.__version__} could not build an engine from {model.name} "
            f"({logger.last_error or 'it gave no reason'}): free GPU memory or give it less "
            "workspace, or use backend onnxruntime"
        )
    monitor.report("built", 1.0)
    _keep_timings(timings, timing_file)
    log.debug("TensorRT wrote %d messages", logger.messages)
    return bytes(plan)


def _parser_errors(parser: Any) -> str:
    errors = [parser.get_error(i).desc() for i in range(parser.num_errors)]
    return "; ".join(errors) or "it gave no reason"


def _use_timings(config: Any, file: Path | None) -> Any:
    """Attach the kept timings to `config`; damaged or foreign ones are replaced by none."""
    try:
        kept = bytearray(file.read_bytes() if file is not None else b"")
    except OSError:
        kept = bytearray()
    # Arrays of our own: up to 10.12 TensorRT counts references to them without Python's lock.
    for data in (kept, bytearray()) if kept else (bytearray(),):
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
        write_whole(file, bytes(timings.serialize()), durable=True)
    except OSError as error:
        log.info("kernel timings are not kept: %s", error)
