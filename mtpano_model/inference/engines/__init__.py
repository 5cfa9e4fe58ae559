"""Engines run the graph; which one is a choice made here, and their libraries load only then."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError

log = logging.getLogger(__name__)

# How many calls of `infer` may pass before an output array is written again: a pipeline holds one
# in postprocessing, one waiting and one being filled.
OUTPUT_SLOTS = 3


class Engine(Protocol):
    """What an engine is: `infer` takes uint8 [1, H, W, 3] and gives the outputs by name.

    The output arrays belong to the engine and keep their values through the next
    OUTPUT_SLOTS - 1 calls. One call of `infer` at a time.
    """

    name: str
    device: str
    precision: str

    def infer(self, image: NDArray[np.uint8]) -> dict[str, NDArray[Any]]: ...

    def close(self) -> None: ...


def _tensorrt(path: Path, device: str, threads: int | None, precision: str | None) -> Engine:
    from mtpano_model.inference.engines.tensorrt import TensorRTEngine

    return TensorRTEngine(path, precision=precision)


def _openvino(path: Path, device: str, threads: int | None, precision: str | None) -> Engine:
    from mtpano_model.inference.engines.openvino import OpenVinoEngine

    return OpenVinoEngine(path, device, threads, precision)


def _onnxruntime(path: Path, device: str, threads: int | None, precision: str | None) -> Engine:
    from mtpano_model.inference.engines.onnxruntime import OnnxRuntimeEngine

    return OnnxRuntimeEngine(path, device, threads, precision)


Opener = Callable[[Path, str, "int | None", "str | None"], Engine]
# In the order in which `auto` tries them: (opener, module it needs, how to install, devices).
BACKENDS: dict[str, tuple[Opener, str, str, tuple[str, ...]]] = {
    "tensorrt": (_tensorrt, "tensorrt", "pip install tensorrt cuda-bindings", ("cuda",)),
    "openvino": (_openvino, "openvino", "pip install openvino", ("cpu", "gpu")),
    "onnxruntime": (
        _onnxruntime,
        "onnxruntime",
        "pip install onnxruntime (or onnxruntime-gpu)",
        ("cpu", "cuda"),
    ),
}


def open_engine(
    path: Path,
    backend: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    precision: str | None = None,
) -> Engine:
    """Open the engine that `backend` names; `auto` takes the first that is there and works."""
    if backend == "auto":
        return _open_first(path, device, threads, precision)
    if backend not in BACKENDS:
        raise MtpanoError(
            f"unknown backend '{backend}': expected auto, {', '.join(sorted(BACKENDS))}"
        )
    opener, module, install, devices = BACKENDS[backend]
    if device not in ("auto", *devices):
        raise MtpanoError(
            f"backend '{backend}' does not run on device '{device}': expected auto, "
            f"{', '.join(devices)}"
        )
    if not _installed(module):
        raise MtpanoError(f"backend '{backend}' is not installed: {install}")
    return opener(path, device, threads, precision)


def _open_first(path: Path, device: str, threads: int | None, precision: str | None) -> Engine:
    reasons = []
    for backend, (_, module, _, devices) in BACKENDS.items():
        if device not in ("auto", *devices) or not _installed(module):
            continue
        try:
            return open_engine(path, backend, device, threads, precision)
        except MtpanoError as error:
            log.info("backend %s is passed over: %s", backend, error)
            reasons.append(str(error))
    if reasons:
        raise MtpanoError("; ".join(reasons))
    raise MtpanoError(
        f"no engine for device '{device}' is installed: pip install openvino (or onnxruntime)"
    )


def _installed(module: str) -> bool:
    return find_spec(module) is not None
