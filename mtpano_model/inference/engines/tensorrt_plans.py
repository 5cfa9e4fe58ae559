"""Get an engine that runs: from the cache if one fits, else built, kept and told why."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.cache import EngineCache, EngineFacts, model_digest
from mtpano_model.inference.engines import tensorrt_graph as graph
from mtpano_model.inference.engines.tensorrt_builder import BuildSettings, build_plan
from mtpano_model.inference.engines.tensorrt_library import Gpu, is_strongly_typed
from mtpano_model.inference.engines.tensorrt_progress import BuildMonitor
from mtpano_model.inference.model_info import ModelInfo

log = logging.getLogger(__name__)

T = TypeVar("T")


class PlanRejected(MtpanoError):
    """Engine bytes that TensorRT, or our reading of them, does not accept."""


def engine_facts(tensorrt: Any, gpu: Gpu, info: ModelInfo, precision: str) -> EngineFacts:
    """What an engine of this model on this machine depends on."""
    try:
        digest = model_digest(info.path, graph.external_files(info.path))
    except OSError as error:
        raise MtpanoError(
            f"model file {info.path} keeps its weights in {error.filename}, which cannot be read "
            f"({error.strerror}): copy both files"
        ) from error
    return EngineFacts(
        model=digest,
        tensorrt=tensorrt.__version__,
        gpu=gpu.name,
        compute_capability=gpu.compute_capability,
        precision=precision,
        input_shape=(1, *info.input_size, 3),
        recipe=graph.RECIPE,
    )


def obtain_plan(
    tensorrt: Any,
    facts: EngineFacts,
    info: ModelInfo,
    settings: BuildSettings,
    cache: EngineCache,
    monitor: BuildMonitor,
    accept: Callable[[bytes], T],
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
    return accept(plan)


def _build(
    tensorrt: Any,
    facts: EngineFacts,
    info: ModelInfo,
    settings: BuildSettings,
    cache: EngineCache,
    monitor: BuildMonitor,
    reason: str,
) -> bytes:
    log.info(
        "building a TensorRT engine of %s (%s on %s), which can take minutes: %s",
        info.path.name,
        facts.precision,
        facts.gpu,
        reason,
    )
    monitor.raise_if_cancelled()
    monitor.report("preparing the graph")
    with cache.scratch_folder(graph.prepared_size(info)) as folder:
        try:
            prepared = graph.prepare_graph(
                info, facts.precision, is_strongly_typed(tensorrt), folder
            )
        except OSError as error:
            raise MtpanoError(
                f"the graph of {info.path.name} cannot be prepared in {folder} "
                f"({error.strerror}): free some space there"
            ) from error
        monitor.raise_if_cancelled()
        return build_plan(
            tensorrt, prepared, facts.precision, settings, _timing_file(cache, facts), monitor
        )


def _timing_file(cache: EngineCache, facts: EngineFacts) -> Path:
    """Timings hold for one library version and one GPU, whatever the model."""
    gpu = "".join(c if c.isalnum() else "_" for c in facts.gpu)
    return cache.folder / f"{gpu}-sm{facts.compute_capability}-{facts.tensorrt}.timings"


def _keep(
    plan: bytes,
    facts: EngineFacts,
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
