"""Which engines there are and what they run on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mtpano_model.doctor.finding import Finding, fix, note, ok
from mtpano_model.errors import MtpanoError
from mtpano_model.inference.engines.tensorrt_library import (
    find_gpu,
    is_strongly_typed,
    load_cuda,
    load_tensorrt,
)

# Where the kernel shows an NVIDIA GPU, also to a container: desktop, Jetson.
GPU_SIGNS = (Path("/proc/driver/nvidia"), Path("/dev/nvidiactl"), Path("/dev/nvhost-gpu"))


def check_processor_engines() -> list[Finding]:
    """OpenVINO and ONNX Runtime."""
    found = [*_openvino(), *_onnxruntime()]
    if any(finding.level == "ok" for finding in found):
        return found
    return [
        *found,
        fix(
            "no engine for a processor is installed",
            "pip install openvino (x86, ARM) or pip install onnxruntime",
            essential=not tensorrt_usable(),
        ),
    ]


def _openvino() -> Iterator[Finding]:
    try:
        import openvino
    except (ImportError, OSError) as error:
        yield note(f"OpenVINO is not to be had ({error})")
        return
    version = openvino.__version__.split("-")[0]
    try:
        devices = ", ".join(openvino.Core().available_devices)
    except RuntimeError as error:  # a broken plugin of one device must not end the list
        yield fix(f"OpenVINO {version} does not start ({error})", "pip install --upgrade openvino")
        return
    yield ok(f"OpenVINO {version} on {devices}")


def _onnxruntime() -> Iterator[Finding]:
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        yield note(f"ONNX Runtime is not to be had ({error})")
        return
    providers = [p.removesuffix("ExecutionProvider") for p in onnxruntime.get_available_providers()]
    yield ok(f"ONNX Runtime {onnxruntime.__version__} with {', '.join(providers)}")


def check_gpu() -> list[Finding]:
    """Driver, GPU, cuda-bindings and TensorRT; on a machine without a GPU one note."""
    has_gpu = any(sign.exists() for sign in GPU_SIGNS)
    try:
        gpu = find_gpu(load_cuda())
    except MtpanoError as error:
        if has_gpu:
            return [_from_error("an NVIDIA GPU is there but cannot be used", error)]
        return [note(f"no NVIDIA GPU is used; a processor will do ({error})")]
    findings = [
        ok(
            f"{gpu.name}, compute capability {gpu.compute_capability}, "
            f"{gpu.memory / 2**30:.0f} GiB; driver for CUDA {gpu.driver}, cuda-bindings for "
            f"{gpu.runtime}"
        )
    ]
    try:
        tensorrt = load_tensorrt()
    except MtpanoError as error:
        return [*findings, _from_error("the GPU is idle for want of TensorRT", error)]
    typing = (
        "fp16 by the types of the graph"
        if is_strongly_typed(tensorrt)
        else "fp16 by the builder's flag (10.12 and later follow the types of the graph)"
    )
    return [*findings, ok(f"TensorRT {tensorrt.__version__}, {typing}"), _onnx_package()]


def _onnx_package() -> Finding:
    try:
        import onnx
    except (ImportError, OSError) as error:
        return fix(
            f"the onnx package, which prepares TensorRT's graphs: {error}", "pip install onnx"
        )
    return ok(f"onnx {onnx.__version__}")


def tensorrt_usable() -> bool:
    """Whether the GPU could run a model."""
    return all(finding.level == "ok" for finding in check_gpu())


def _from_error(text: str, error: MtpanoError) -> Finding:
    return fix(text, str(error))
