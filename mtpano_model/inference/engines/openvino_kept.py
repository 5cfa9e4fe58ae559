"""What OpenVINO has compiled for the processor, kept on disk for the next start.

OpenVINO's own cache (CACHE_DIR) does not see damage: from a file with 4096 zeroed bytes it loads a
network that gives other answers (2026.4). Ours has checksums.
"""

from __future__ import annotations

import hashlib
import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openvino as ov

from mtpano_model.inference.engines.cache import EngineCache, EngineFacts, default_folder
from mtpano_model.inference.engines.processor import instruction_sets

log = logging.getLogger(__name__)

_LARGEST_MODEL = 256 << 20  # bytes; what is kept is twice as large as weights of 16 bits


@dataclass(frozen=True)
class OpenVinoFacts(EngineFacts):
    """openvino: library version. processor: its name. instructions: digest of what it can do."""

    openvino: str
    processor: str
    instructions: str
    precision: str


def compile_kept(core: ov.Core, path: Path, precision: str, config: dict[str, Any]) -> Any:
    """`path` compiled for the processor, an ov.CompiledModel: the kept one, or anew to be kept.

    RuntimeError where OpenVINO cannot load the model. That nothing can be kept is no failure.
    """
    model = path.read_bytes()
    # Weights in other files, which ONNX names by a "location", might change unseen.
    if len(model) > _LARGEST_MODEL or b"location" in model:
        return core.compile_model(core.read_model(path), "CPU", config)
    facts = OpenVinoFacts(
        model=hashlib.sha256(model).hexdigest(),
        openvino=ov.__version__,
        processor=core.get_property("CPU", "FULL_DEVICE_NAME"),
        instructions=hashlib.sha256(" ".join(instruction_sets()).encode()).hexdigest(),
        precision=precision,
    )
    cache = EngineCache(default_folder().with_name("openvino"))
    kept = cache.load(path, facts)
    if kept.plan is not None:
        try:
            return core.import_model(bytes(kept.plan), "CPU", config)
        except RuntimeError as error:
            log.debug("OpenVINO does not take back what it has compiled: %s", error)
    compiled = core.compile_model(core.read_model(path), "CPU", config)
    try:
        exported = io.BytesIO()
        compiled.export_model(exported)
        cache.store(path, facts, exported.getvalue(), {})
    except (OSError, RuntimeError) as error:
        log.debug("what OpenVINO has compiled cannot be kept in %s: %s", cache.folder, error)
    return compiled
