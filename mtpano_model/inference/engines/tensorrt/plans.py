"""Take an engine from the cache if one fits; else build one, log why, and store it there."""

from __future__ import annotations

import logging
import mmap
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from mtpano_model.errors import MtpanoError
from mtpano_model.graph.contract import image_tensor
from mtpano_model.graph.model_info import ModelInfo
from mtpano_model.inference.engines.cache import EngineCache, EngineFacts, model_digest
from mtpano_model.inference.engines.progress import BuildMonitor
from mtpano_model.inference.engines.tensorrt import graph
from mtpano_model.inference.engines.tensorrt.build_process import build_in_process
from mtpano_model.inference.engines.tensorrt.builder import (
    BuildOrder,
    BuildRefused,
    BuildSettings,
)
from mtpano_model.inference.engines.tensorrt.jetson import power_mode
from mtpano_model.inference.engines.tensorrt.library import Gpu, can_type_weakly
from mtpano_model.pictures.size import Size

log = logging.getLogger(__name__)

T = TypeVar("T")
Plan: TypeAlias = bytes | mmap.mmap


@dataclass(frozen=True)
class TensorRTFacts(EngineFacts):
    """tensorrt: library version. gpu, compute_capability, multi_processors, gpu_gib (memory): the
    device; every Jetson Orin has the same name, and a power mode switches multiprocessors off.
    precision: of the arithmetic. input_shape: of `image`. recipe: version of what our own code does
    to the graph before it is built. output_size: (H, W) of the outputs.
    """

    tensorrt: str
    gpu: str
    compute_capability: str
    multi_processors: int
    gpu_gib: int
    precision: str
    input_shape: tuple[int, ...]
    recipe: int
    output_size: tuple[int, int] | None = None


class PlanRejected(MtpanoError):
    """Engine bytes that TensorRT, or our reading of them, does not accept."""


def engine_facts(
    tensorrt: Any, gpu: Gpu, info: ModelInfo, precision: str, size: Size
) -> TensorRTFacts:
    """What an engine of this model with outputs of `size` (H, W) on this machine depends on."""
    try:
        digest = model_digest(info.path, graph.external_files(info.path))
    except OSError as error:
        raise MtpanoError(
            f"model file {info.path} keeps its weights in {error.filename}, which cannot be read "
            f"({error.strerror}): copy both files"
        ) from error
    return TensorRTFacts(
        model=digest,
        tensorrt=tensorrt.__version__,
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        multi_processors=gpu.multi_processors,
        gpu_gib=round(gpu.memory / 2**30),
        precision=precision,
        input_shape=image_tensor(info.input_size).shape,
        recipe=graph.RECIPE,
        output_size=size,
    )


def obtain_plan(
    tensorrt: Any,
    facts: TensorRTFacts,
    info: ModelInfo,
    settings: BuildSettings,
    cache: EngineCache,
    monitor: BuildMonitor,
    accept: Callable[[Plan], T],
    rebuild: bool = False,
) -> T:
    """`accept(plan)` of a cached or freshly built engine.

    accept raises PlanRejected for bytes it cannot use; a cached engine is then built again. An
    engine that cannot be kept is used all the same, with a warning.
    """

    def from_cache() -> tuple[T | None, str]:
        lookup = cache.load(info.path, facts)
        if lookup.plan is None:
            return None, lookup.reason
        try:
            return accept(lookup.plan), ""
        except PlanRejected as error:
            return None, f"the cached engine is refused: {error}"

    reason = "a new build was asked for"
    if not rebuild:
        found, reason = from_cache()
        if found is not None:
            return found
    waited = False

    def waiting() -> None:
        nonlocal waited
        if not waited:
            log.info("another process is building an engine in %s, waiting for it", cache.folder)
        waited = True
        monitor.raise_if_cancelled()
        monitor.report("waiting for another process's build")

    with cache.lock(waiting):
        if waited and not rebuild:
            found, reason = from_cache()
            if found is not None:
                return found
        plan = _build(tensorrt, facts, info, settings, cache, monitor, reason)
        _keep(plan, facts, info, settings, cache, monitor)
    try:
        return accept(plan)
    except PlanRejected as error:
        raise MtpanoError(
            f"the engine that was just built of {info.path.name} is of no use ({error}): check "
            "that one TensorRT alone is installed, or use backend onnxruntime"
        ) from error


def _build(
    tensorrt: Any,
    facts: TensorRTFacts,
    info: ModelInfo,
    settings: BuildSettings,
    cache: EngineCache,
    monitor: BuildMonitor,
    reason: str,
) -> bytes:
    log.info(
        "building a TensorRT engine of %s (%s on %s with %d multiprocessors%s), which can take "
        "minutes: %s",
        info.path.name,
        facts.precision,
        facts.gpu,
        facts.multi_processors,
        f", {mode}" if (mode := power_mode()) else "",
        reason,
    )
    monitor.raise_if_cancelled()
    monitor.report("preparing the graph")
    with cache.scratch_folder(graph.prepared_size(info)) as folder:
        target = folder / f"{info.path.stem}.onnx"
        prepared = _prepare(info, facts, target, weakly_typed=False)
        monitor.raise_if_cancelled()
        order = BuildOrder(
            model=str(target),
            precision=facts.precision,
            weakly_typed=False,
            timing_file=str(_timing_file(cache, facts)),
            **asdict(settings),
        )
        try:
            return build_in_process(tensorrt, order, monitor)
        except BuildRefused as error:
            # A transformer's attention leaves the range of fp16 where the builder chooses it.
            chooses = facts.precision == "fp16" and can_type_weakly(tensorrt)
            if prepared.vision_transformer or not chooses:
                raise
            log.warning(
                "TensorRT refuses the graph in the precision of each layer (%s): it may choose "
                "fp16 layers by itself, which can be less accurate",
                error,
            )
        _prepare(info, facts, target, weakly_typed=True)
        return build_in_process(tensorrt, replace(order, weakly_typed=True), monitor)


def _prepare(
    info: ModelInfo, facts: TensorRTFacts, target: Path, *, weakly_typed: bool
) -> graph.PreparedGraph:
    try:
        return graph.prepare_graph(
            info, facts.precision, target, size=facts.output_size, weakly_typed=weakly_typed
        )
    except OSError as error:
        raise MtpanoError(
            f"the graph of {info.path.name} cannot be prepared in {target.parent} "
            f"({error.strerror}): free some space there"
        ) from error


def _timing_file(cache: EngineCache, facts: TensorRTFacts) -> Path:
    """Timings hold for one library version and one GPU in one power mode, whatever the model."""
    gpu = "".join(c if c.isalnum() else "_" for c in facts.gpu)
    device = f"{gpu}-sm{facts.compute_capability}-{facts.multi_processors}mp-{facts.gpu_gib}gib"
    return cache.folder / f"{device}-{facts.tensorrt}.timings"


def _keep(
    plan: bytes,
    facts: TensorRTFacts,
    info: ModelInfo,
    settings: BuildSettings,
    cache: EngineCache,
    monitor: BuildMonitor,
) -> None:
    details = {"settings": asdict(settings), "seconds": round(monitor.seconds, 1)}
    try:
        path = cache.store(info.path, facts, plan, details)
    except OSError as error:
        log.warning(
            "the engine is in use but cannot be kept in %s (%s), so the next start builds it "
            "again: free space there or set XDG_CACHE_HOME to a folder that can be written",
            cache.folder,
            error.strerror,
        )
    else:
        log.info("engine built in %.0f s and kept as %s", monitor.seconds, path)
