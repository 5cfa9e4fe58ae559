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


def check_image(image: NDArray[Any], shape: tuple[int, ...]) -> None:
    """ValueError unless `image` is uint8 of `shape`: some engines compute on whatever they get."""
    if image.shape != shape or image.dtype != np.uint8:
        raise ValueError(
            f"the image is {image.dtype} {list(image.shape)}, expected uint8 {list(shape)}"
        )


@dataclass(frozen=True)
class _Request:
    """What the caller of `open_engine` asked for."""

    path: Path
    device: str
    threads: int | None
    precision: str | None
    progress: ProgressCallback | None
    cancel: Event | None


_Opener = Callable[[_Request], Engine]


def _tensorrt() -> _Opener:
    from mtpano_model.inference.engines.tensorrt import TensorRTEngine

    return lambda asked: TensorRTEngine(
        asked.path,
        asked.device,
        asked.threads,
        asked.precision,
        progress=asked.progress,
        cancel=asked.cancel,
    )


def _openvino() -> _Opener:
    from mtpano_model.inference.engines.openvino import OpenVinoEngine

    return lambda asked: OpenVinoEngine(asked.path, asked.device, asked.threads, asked.precision)


def _onnxruntime() -> _Opener:
    from mtpano_model.inference.engines.onnxruntime import OnnxRuntimeEngine

    return lambda asked: OnnxRuntimeEngine(asked.path, asked.device, asked.threads, asked.precision)


@dataclass(frozen=True)
class _Backend:
    """load: imports it; what it gives makes engines. module: what must be importable.
    install: how to get it."""

    load: Callable[[], _Opener]
    module: str
    install: str
    devices: tuple[str, ...]


BACKENDS = {
    "tensorrt": _Backend(
        _tensorrt, "tensorrt", "pip install tensorrt cuda-bindings (JetPack brings it)", ("cuda",)
    ),
    "openvino": _Backend(_openvino, "openvino", "pip install openvino", ("cpu", "gpu")),
    "onnxruntime": _Backend(
        _onnxruntime, "onnxruntime", "pip install onnxruntime", ("cpu", "cuda", "tensorrt")
    ),
}

# What the device `auto` tries, the fastest first.
_AUTO = (
    ("tensorrt", "cuda"),
    ("onnxruntime", "cuda"),
    ("openvino", "cpu"),
    ("onnxruntime", "cpu"),
)


class NotInstalled(MtpanoError):
    """A backend, or its part for a device, is absent, which is no fault."""


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
    """Open the engine that `backend` and `device` name; `auto` takes the first that works.

    What is installed but does not work is passed over with a warning where another one does.
    progress, cancel: for the minutes that TensorRT may need to build, see TensorRTEngine.
    MtpanoError where it cannot be done.
    """
    if threads is not None and threads < 1:
        raise MtpanoError(f"threads {threads} is too few: expected 1 or more, or None")
    absent: list[str] = []
    failures: list[str] = []
    for name, place in _candidates(backend, device):
        try:
            engine = _open(name, _Request(path, place, threads, precision, progress, cancel))
        except NotInstalled as error:
            absent.append(str(error))
        except MtpanoError as error:
            if cancel is not None and cancel.is_set():
                raise
            failures.append(str(error))
        else:
            for failure in failures:
                log.warning("passed over for %s on %s: %s", name, place, failure)
            return engine
    raise MtpanoError("; ".join(dict.fromkeys(failures or absent)))


def _candidates(backend: str, device: str) -> list[tuple[str, str]]:
    """What the caller's words allow, as (backend, device) in the order in which to try them."""
    if backend not in ("auto", *BACKENDS):
        raise MtpanoError(
            f"unknown backend '{backend}': expected auto, {', '.join(sorted(BACKENDS))}"
        )
    if device == "auto":
        return [(name, place) for name, place in _AUTO if backend in ("auto", name)]
    named = BACKENDS if backend == "auto" else {backend: BACKENDS[backend]}
    found = [(name, device) for name, kind in named.items() if device in kind.devices]
    if not found:
        known = dict.fromkeys(place for kind in named.values() for place in kind.devices)
        raise MtpanoError(
            f"backend '{backend}' does not run on device '{device}': expected auto, "
            f"{', '.join(known)}"
        )
    return found


def _open(name: str, asked: _Request) -> Engine:
    backend = BACKENDS[name]
    if not _installed(backend.module):
        raise NotInstalled(f"backend '{name}' is not installed: {backend.install}")
    try:
        opener = backend.load()
    except (ImportError, OSError) as error:
        raise MtpanoError(
            f"backend '{name}' cannot be imported ({error}): install it again, {backend.install}"
        ) from error
    return opener(asked)


def _installed(module: str) -> bool:
    return find_spec(module) is not None
