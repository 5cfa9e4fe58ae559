"""OpenVINO: the fastest engine on x86 and ARM processors and Intel GPUs."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.graph.contract import OUTPUTS, TAILS, output_name
from mtpano_model.inference.engines import OUTPUT_SLOTS
from mtpano_model.inference.engines.kept_folder import kept_folder
from mtpano_model.inference.engines.openvino_kept import compile_kept
from mtpano_model.inference.engines.processor import has_bf16

log = logging.getLogger(__name__)

_NAMES = {output_name(task, tail) for task in OUTPUTS for tail in TAILS}
# OpenVINO would choose by itself, also what was not measured, so the precision is always given.
_PRECISIONS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_CAPABILITIES = "OPTIMIZATION_CAPABILITIES"


class OpenVinoEngine:
    """Engine on OpenVINO; see `engines.Engine` for the life of its output arrays."""

    name = "openvino"

    def __init__(
        self,
        path: Path,
        device: str = "cpu",
        threads: int | None = None,
        precision: str | None = None,
        keep: bool = False,
    ) -> None:
        """keep: what is compiled for the processor, on disk, so that the next start is shorter."""
        self.device = device
        target = self.device.upper()
        wanted = precision or _default_precision(target)
        if wanted not in _PRECISIONS:
            raise MtpanoError(
                f"backend 'openvino' has no precision '{precision}': expected "
                f"{', '.join(_PRECISIONS)}"
            )
        core = openvino_core()
        if not any(found.split(".")[0] == target for found in core.available_devices):
            seen = ", ".join(core.available_devices).lower()
            raise MtpanoError(
                f"OpenVINO finds no device '{self.device}' here (it sees {seen}): use device cpu "
                "or install the driver"
            )
        config: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": _PRECISIONS[wanted],
        }
        if target == "CPU":
            # A robot has other work: a thread pinned to a busy core holds up all the others.
            config["ENABLE_CPU_PINNING"] = False
            if threads is not None:
                config["INFERENCE_NUM_THREADS"] = threads
        elif (folder := kept_folder("openvino")) is not None:
            config["CACHE_DIR"] = str(folder)  # its kernels are compiled for up to a minute
        try:
            if keep and target == "CPU":
                compiled = compile_kept(core, path, wanted, config)
            else:
                compiled = core.compile_model(core.read_model(path), target, config)
        except RuntimeError as error:
            raise MtpanoError(f"OpenVINO cannot load {path}: {_last_line(error)}") from error
        self.precision = _precision_of(compiled, core, target)
        if precision is None and self.precision != "fp32":
            log.info(
                "OpenVINO computes in %s, which is faster on this %s; set the precision to fp32 if "
                "you need that",
                self.precision,
                self.device,
            )
        if precision is not None and self.precision != precision:
            others = " or ".join(dict.fromkeys((self.precision, "fp32")))
            raise MtpanoError(
                f"OpenVINO has no {precision} on this {self.device} (it would compute in "
                f"{self.precision}): use precision {others}"
            )
        self._request = compiled.create_infer_request()
        self._slots = [_outputs(compiled) for _ in range(OUTPUT_SLOTS)]
        self._next = 0

    def infer(self, image: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Run the network on uint8 [1, H, W, 3], which is read in place until this returns."""
        arrays, tensors = self._slots[self._next]
        self._next = (self._next + 1) % len(self._slots)
        # A shared tensor does not keep its array alive: the name must outlive the inference.
        image = np.ascontiguousarray(image)
        self._request.set_input_tensor(ov.Tensor(image, shared_memory=True))
        for name, tensor in tensors.items():
            self._request.set_tensor(name, tensor)
        self._request.infer()
        return dict(arrays)

    def close(self) -> None:
        """Let go of the compiled model; arrays handed out stay alive as long as they are held."""
        self._request = None
        self._slots = []


def _default_precision(target: str) -> str:
    """What is fastest without loss: measured for bf16, fp16 is what a GPU computes in by nature."""
    if target != "CPU":
        return "fp16"
    return "bf16" if has_bf16() else "fp32"


@lru_cache(maxsize=1)
def openvino_core() -> ov.Core:
    """The process's one core, never destroyed. Nobody else makes one.

    Its CPU plugin gives the thread that loads it a stack for signal handlers (2026.4). Of two cores
    destroyed in the order of their making, the second puts the first one's stack back, which is
    gone: the next signal then ends the process with a segmentation fault.
    """
    return ov.Core()


def _precision_of(compiled: ov.CompiledModel, core: ov.Core, target: str) -> str:
    """What it computes in: the hint given before compiling is a wish, which a device may not have.

    "f32" and the like, as OpenVINO writes it, where we have no name for it. A processor with
    AVX-512 alone says bf16 (2026.4), but only imitates it, in 3.7 times the time of fp32.
    """
    name = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    found = next((ours for ours, theirs in _PRECISIONS.items() if theirs == name), name)
    if target == "CPU" and found.upper() not in core.get_property(target, _CAPABILITIES):
        return "fp32"
    return found


def _outputs(compiled: ov.CompiledModel) -> tuple[dict[str, NDArray[Any]], dict[str, ov.Tensor]]:
    """Arrays of our own and the tensors that let OpenVINO write into them."""
    arrays = {}
    for port in compiled.outputs:
        # Merged outputs carry inner names besides the contract's.
        name = next((n for n in _NAMES if n in port.names), port.any_name)
        arrays[name] = np.empty(tuple(port.shape), port.element_type.to_dtype())
    return arrays, {name: ov.Tensor(array, shared_memory=True) for name, array in arrays.items()}


def _last_line(error: Exception) -> str:
    """OpenVINO's messages begin with C++ source positions and end with the reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
