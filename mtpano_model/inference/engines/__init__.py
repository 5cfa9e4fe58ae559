"""Engines run a model's graph. `open_engine` chooses one and imports its library only then."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mtpano_model.engine_names import ENGINES, MOST_THREADS, PREFERRED
from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.graph.contract import TensorSpec
from mtpano_model.pictures.size import Size

if TYPE_CHECKING:
    from mtpano_model.inference.engines.progress import ProgressCallback

log = logging.getLogger(__name__)

# How many calls of `infer` it takes until an output array is written again: a pipeline holds one
# in postprocessing, one waiting and one being filled.
OUTPUT_SLOTS = 3


class Engine(Protocol):
    """What an engine is: `infer` takes uint8 [1, H, W, 3] and gives the outputs by name.

    The output arrays belong to the engine and keep their values through the next
    OUTPUT_SLOTS - 1 calls. One call of `infer` at a time. An engine that runs another tail than the
    model file's says so in an attribute `tail`, and in `output_size` at which size it finishes.
    """

    name: str
    device: str
    precision: str

    def infer(self, image: NDArray[np.uint8]) -> dict[str, NDArray[Any]]: ...

    def close(self) -> None: ...


def check_outputs(found: Mapping[str, NDArray[Any]], expected: Mapping[str, TensorSpec]) -> None:
    """MtpanoError unless the arrays are those that the model's file promises.

    Engines find the shapes by themselves, and a damaged or foreign file may declare others.
    """
    for name, tensor in expected.items():
        array = found.get(name)
        if array is None or (str(array.dtype), array.shape) != (tensor.dtype, tensor.shape):
            kind = "nothing" if array is None else f"{array.dtype} {list(array.shape)}"
            raise MtpanoError(
                f"the model gives {kind} as {name}, its file promises {tensor.dtype} "
                f"{list(tensor.shape)}: export it again with `mtpano export`"
            )


def check_image(image: NDArray[Any], shape: tuple[int, ...]) -> None:
    """ValueError unless `image` is uint8 of `shape`: some engines compute on whatever they get."""
    if image.shape != shape or image.dtype != np.uint8:
        raise ValueError(
            f"the image is {image.dtype} {list(image.shape)}, expected uint8 {list(shape)}"
        )


# The module and class of each engine in `engine_names.ENGINES`.
_CLASSES = {
    "tensorrt": ("tensorrt.engine", "TensorRTEngine"),
    "openvino": ("openvino", "OpenVinoEngine"),
    "onnxruntime": ("onnxruntime", "OnnxRuntimeEngine"),
}


class NotInstalled(MtpanoError):
    """A backend, or the part of it that a device needs, is not installed, which is no fault."""


def open_engine(
    path: Path,
    backend: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    precision: str | None = None,
    *,
    keep: bool = False,
    progress: ProgressCallback | None = None,
    cancel: Event | None = None,
    output_size: Size | None = None,
) -> Engine:
    """Open the engine that `backend` and `device` name; `auto` takes the first that works.

    Where one that is installed does not work and a later one does, a warning says so.
    keep: what OpenVINO compiles for a processor, see OpenVinoEngine; TensorRT always keeps engines.
    progress, cancel: for the minutes that TensorRT may need to build, see TensorRTEngine.
    output_size: at which an NVIDIA GPU finishes the outputs; without meaning elsewhere.
    MtpanoError where it cannot be done.
    """
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise MtpanoError(f"threads {threads}: expected 1 to {MOST_THREADS}, or None")
    own: dict[str, dict[str, Any]] = {
        "openvino": {"keep": keep},
        "tensorrt": {"progress": progress, "cancel": cancel, "output_size": output_size},
        "onnxruntime": {"output_size": output_size},
    }
    absent: list[str] = []
    failures: list[str] = []
    for name, place in _candidates(backend, device):
        try:
            engine = _load(name)(path, place, threads, precision, **own.get(name, {}))
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
    if backend not in ("auto", *ENGINES):
        raise MtpanoError(
            f"unknown backend '{backend}': expected auto, {', '.join(sorted(ENGINES))}"
        )
    if device == "auto":
        return [(name, place) for name, place in PREFERRED if backend in ("auto", name)]
    named = ENGINES if backend == "auto" else {backend: ENGINES[backend]}
    found = [(name, device) for name, kind in named.items() if device in kind.devices]
    if not found:
        known = dict.fromkeys(place for kind in named.values() for place in kind.devices)
        raise MtpanoError(
            f"backend '{backend}' does not run on device '{device}': expected auto, "
            f"{', '.join(known)}"
        )
    return found


def _load(name: str) -> Callable[..., Engine]:
    """The class of a backend, with its library."""
    known = ENGINES[name]
    if not _installed(known.module):
        raise NotInstalled(f"backend '{name}' is not installed: {known.install}")
    module, kind = _CLASSES[name]
    try:
        found: Callable[..., Engine] = getattr(import_module(f"{__name__}.{module}"), kind)
    except Exception as error:  # a library may raise anything while it is imported
        raise MtpanoError(
            f"backend '{name}' cannot be imported ({one_line(error)}): "
            f"{import_remedy(error, known.install)}"
        ) from error
    return found


def import_remedy(error: Exception, install: str) -> str:
    """What to do where an installed library cannot be imported."""
    text = str(error).lower()
    if isinstance(error, MemoryError) or "cannot allocate" in text or "failed to map" in text:
        return "free some memory, or raise the limit of the address space (ulimit -v)"
    if "home directory" in text:  # of Path.home(), for a user whom /etc/passwd does not know
        return "set the environment variable HOME to a folder"
    return f"install it again, {install}"


def _installed(module: str) -> bool:
    return find_spec(module) is not None
