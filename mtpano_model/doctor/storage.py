"""Checks the folder in which built TensorRT engines are kept."""

from __future__ import annotations

import shutil
from pathlib import Path

from mtpano_model.doctor.finding import Finding, fix, note, ok
from mtpano_model.errors import MtpanoError
from mtpano_model.inference.engines.cache import EngineCache
from mtpano_model.inference.engines.tensorrt.library import find_gpu, load_cuda, load_tensorrt
from mtpano_model.whole_files import try_folder

_LITTLE_ROOM = 2 << 30  # bytes; the engine of the largest model and its scratch files


def check(cache: EngineCache | None = None) -> list[Finding]:
    """Whether engines can be kept, and which are."""
    cache = cache or EngineCache()
    existing = _nearest_folder(cache.folder)
    try:
        try_folder(existing)
        free = shutil.disk_usage(existing).free
    except OSError as error:
        return [
            fix(
                f"engines cannot be kept in {cache.folder} ({error.strerror}), each start builds "
                "anew",
                "set XDG_CACHE_HOME to a folder that can be written",
            )
        ]
    room = f"{free / 2**30:.0f} GiB free"
    findings = [ok(f"engines are kept in {cache.folder}, {room}")]
    if free < _LITTLE_ROOM:
        findings = [fix(f"little room for engines in {cache.folder}: {room}", "free some space")]
    return findings + _engines(cache)


def _nearest_folder(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _engines(cache: EngineCache) -> list[Finding]:
    here = _this_machine()
    findings, others = [], []
    for sidecar in cache.sidecars():
        facts = sidecar["facts"]
        text = f"{sidecar['file']}: {facts.get('precision')}, {sidecar['bytes'] >> 20} MiB"
        if here == (facts.get("tensorrt"), facts.get("gpu"), facts.get("compute_capability")):
            findings.append(ok(f"{text}, for this machine, built {sidecar.get('built')}"))
        else:
            others.append(sidecar)
    if others:
        size = sum(sidecar["bytes"] for sidecar in others) >> 20
        findings.append(
            note(
                f"{len(others)} engines ({size} MiB) for another TensorRT or GPU; nothing here "
                f"uses them: {', '.join(sidecar['file'] for sidecar in others)}"
            )
        )
    return findings


def _this_machine() -> tuple[str, str, str] | None:
    try:
        gpu, tensorrt = find_gpu(load_cuda()), load_tensorrt()
    except MtpanoError:
        return None
    return tensorrt.__version__, gpu.name, gpu.compute_capability
