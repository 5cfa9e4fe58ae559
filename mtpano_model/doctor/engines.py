"""Which engines there are and what they run on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mtpano_model.doctor.finding import Finding, fix, note, ok
from mtpano_model.engine_names import ENGINES
from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.inference.engines import import_remedy
from mtpano_model.inference.engines.tensorrt.jetson import free_memory
from mtpano_model.inference.engines.tensorrt.library import (
    find_gpu,
    load_cuda,
    load_tensorrt,
)

# Builder, graph and tactics of the larger models together; less is enough for `small`.
_BUILD_BYTES = 4 * 2**30
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

        from mtpano_model.inference.engines.openvino import openvino_core
    except Exception as error:  # a library may raise anything while it is imported
        yield _not_imported("OpenVINO", "openvino", error)
        return
    version = openvino.__version__.split("-")[0]
    try:
        devices = ", ".join(openvino_core().available_devices)
    except RuntimeError as error:  # a broken plugin of one device must not end the list
        yield fix(f"OpenVINO {version} does not start ({error})", "pip install --upgrade openvino")
        return
    yield ok(f"OpenVINO {version} on {devices}")


def _onnxruntime() -> Iterator[Finding]:
    try:
        import onnxruntime
    except Exception as error:  # as above
        yield _not_imported("ONNX Runtime", "onnxruntime", error)
        return
    providers = [p.removesuffix("ExecutionProvider") for p in onnxruntime.get_available_providers()]
    yield ok(f"ONNX Runtime {onnxruntime.__version__} with {', '.join(providers)}")


def _not_imported(title: str, name: str, error: Exception) -> Finding:
    if isinstance(error, ModuleNotFoundError):
        return note(f"{title} is not installed ({error})")
    return fix(
        f"{title} cannot be imported ({one_line(error)})",
        import_remedy(error, ENGINES[name].install),
    )


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
        return [*findings, _from_error("the GPU is not used", error)]
    findings += [ok(f"TensorRT {tensorrt.__version__}"), _onnx_package()]
    return findings + (_room_to_build() if gpu.integrated else [])


def _room_to_build() -> list[Finding]:
    """Where GPU and processor share the memory, an engine's build competes with everything."""
    free = free_memory()
    if free is None or free >= _BUILD_BYTES:
        return []
    return [
        fix(
            f"{free / 2**30:.1f} GiB of memory are free, and building an engine may take "
            f"{_BUILD_BYTES / 2**30:.0f}",
            "stop other programs while `mtpano build-engine` runs, once for each model",
        )
    ]


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
