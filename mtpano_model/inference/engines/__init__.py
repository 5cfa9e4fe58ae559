"""Engines run the graph; which one is a choice made here, and their libraries load only then."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError

if TYPE_CHECKING:
    from mtpano_model.inference.engines.tensorrt_progress import ProgressCallback

log = logging.getLogger(__name__)

# How many calls of `infer` it takes until an output array is written again: a pipeline holds one
# in postprocessing, one waiting and one being filled.
OUTPUT_SLOTS = 3


class Engine(Protocol):
    """What an engine is: `infer` takes uint8 [1, H, W, 3] and gives the outputs by name.

    The output arrays belong to the engine and keep their values through the next
    OUTPUT_SLOTS - 1 calls. One call of `infer` at a time. An engine that runs another tail than the
    model file's says so in an attribute `tail`.
    """

    name: str
    device: str
    precision: str

    def infer(self, image: NDArray[np.uint8]) -> dict[str, NDArray[Any]]: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class _Request:
    """What the caller of `open_engine` asked for."""

    path: Path
    device: str
    threads: int | None
    precision: str | None
    progress: ProgressCallback | None
    cancel: Event | None


def _tensorrt(asked: _Request) -> Engine:
    from mtpano_model.inference.engines.tensorrt import TensorRTEngine

    return TensorRTEngine(
        asked.path,
        asked.device,
        asked.threads,
        asked.precision,
        progress=asked.progress,
        cancel=asked.cancel,
    )


def _openvino(asked: _Request) -> Engine:
    from mtpano_model.inference.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(asked.path, asked.device, asked.threads, asked.precision)


def _onnxruntime(asked: _Request) -> Engine:
    from mtpano_model.inference.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(asked.path, asked.device, asked.threads, asked.precision)


@dataclass(frozen=True)
class _Backend:
    """open: makes the engine. module: what must be importable. install: how to get it."""

    open: Callable[[_Request], Engine]
    module: str
    install: str
    devices: tuple[str, ...]


# In the order in which `auto` tries them.
BACKENDS = {
    "tensorrt": _Backend(
        _tensorrt, "tensorrt", "pip install tensorrt cuda-bindings (JetPack brings it)", ("cuda",)
    ),
    "openvino": _Backend(_openvino, "openvino", "pip install openvino", ("cpu", "gpu")),
    "onnxruntime": _Backend(
        _onnxruntime, "onnxruntime", "pip install onnxruntime", ("cpu", "cuda", "tensorrt")
    ),
}


def open_engine(
    path: Path,
    backend: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    precision: str | None = None,
    *,
    progress: ProgressCallback | None = None,
    cancel: Event | None = None,
) -> Engine:
    """Open the engine that `backend` names; `auto` takes the first that is there and works.

    progress, cancel: for the minutes that TensorRT may need to build, see TensorRTEngine.
    MtpanoError where it cannot be done.
    """
    if threads is not None and threads < 1:
        raise MtpanoError(f"threads {threads} is too few: expected 1 or more, or None")
    asked = _Request(path, device, threads, precision, progress, cancel)
    if backend == "auto":
        return _open_first(asked)
    if backend not in BACKENDS:
        raise MtpanoError(
            f"unknown backend '{backend}': expected auto, {', '.join(sorted(BACKENDS))}"
        )
    chosen = BACKENDS[backend]
    if device not in ("auto", *chosen.devices):
        raise MtpanoError(
            f"backend '{backend}' does not run on device '{device}': expected auto, "
            f"{', '.join(chosen.devices)}"
        )
    if not _installed(chosen.module):
        raise MtpanoError(f"backend '{backend}' is not installed: {chosen.install}")
    return chosen.open(asked)


def _open_first(asked: _Request) -> Engine:
    reasons = []
    for name, backend in BACKENDS.items():
        if asked.device not in ("auto", *backend.devices) or not _installed(backend.module):
            continue
        try:
            return backend.open(asked)
        except MtpanoError as error:
            if asked.cancel is not None and asked.cancel.is_set():
                raise
            log.info("backend %s is passed over: %s", name, error)
            reasons.append(str(error))
    if reasons:
        raise MtpanoError("; ".join(reasons))
    raise MtpanoError(
        f"no engine for device '{asked.device}' is installed: pip install openvino (processors and "
        "Intel GPUs), onnxruntime (processors) or tensorrt (NVIDIA GPUs)"
    )


def _installed(module: str) -> bool:
    return find_spec(module) is not None
