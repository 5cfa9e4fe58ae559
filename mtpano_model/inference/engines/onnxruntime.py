"""ONNX Runtime: the engine that runs everywhere, and NVIDIA GPUs through its CUDA provider."""

from __future__ import annotations

import contextlib
import logging
import platform
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.graph.contract import IMAGE
from mtpano_model.graph.model_info import read_model_info
from mtpano_model.inference.engines import OUTPUT_SLOTS, NotInstalled
from mtpano_model.inference.engines.kept_folder import kept_folder
from mtpano_model.pictures.size import Size

log = logging.getLogger(__name__)

# From the most special to the most general: a session gives each node to the first that can run it.
_PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
_NEEDED = dict(zip(("tensorrt", "cuda", "cpu"), _PROVIDERS, strict=True))
# The index has no onnxruntime-gpu for ARM processors, a Jetson's among them.
_REMEDY = (
    "pip install onnxruntime-gpu in place of onnxruntime"
    if platform.machine() in ("x86_64", "AMD64")
    else "use backend tensorrt"
)
_LARGEST_MESSAGE = 1 << 30  # bytes of weights; a protobuf ends at 2 GiB
_TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}


def _provider_options(provider: str) -> dict[str, Any]:
    """As the provider's makers advise: no exhaustive search, and built engines kept on disk."""
    if provider == "CUDAExecutionProvider":
        return {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
    if provider == "TensorrtExecutionProvider":
        options: dict[str, Any] = {"trt_fp16_enable": True}
        if (folder := kept_folder("onnxruntime")) is not None:
            for kind in ("engine", "timing"):
                options[f"trt_{kind}_cache_enable"] = True
                options[f"trt_{kind}_cache_path"] = str(folder)
        return options
    return {}


class OnnxRuntimeEngine:
    """Engine on ONNX Runtime; see `engines.Engine` for the life of its output arrays."""

    name = "onnxruntime"

    def __init__(
        self,
        path: Path,
        device: str = "cpu",
        threads: int | None = None,
        precision: str | None = None,
        output_size: Size | None = None,
    ) -> None:
        """output_size: (H, W) at which a GPU finishes the outputs of a file with the CPU tail."""
        providers = [p for p in _PROVIDERS if p in ort.get_available_providers()]
        needed = _NEEDED[device]
        if needed not in providers:
            raise NotInstalled(f"this ONNX Runtime has no {needed}: {_REMEDY}, or use device cpu")
        self.device = device
        self.precision = "fp16" if device == "tensorrt" else precision or "fp32"
        if device == "tensorrt" and precision not in (None, "fp16"):
            raise MtpanoError(
                f"ONNX Runtime's TensorRT has no precision '{precision}' here: expected fp16"
            )
        if device != "tensorrt" and self.precision != "fp32":
            raise MtpanoError(
                f"backend 'onnxruntime' has no precision '{precision}': it runs the graph as it "
                "is, expected fp32"
            )
        if device != "cpu" and hasattr(ort, "preload_dlls"):
            with contextlib.suppress(Exception):  # whatever is wrong there, the session tells
                ort.preload_dlls()  # CUDA and cuDNN as pip brings them, which no loader would find
        chosen = [(name, _provider_options(name)) for name in providers[providers.index(needed) :]]
        options = ort.SessionOptions()
        options.log_severity_level = 3
        # Idle threads would spin: on a busy machine that doubled time and processor load alike.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads is not None:
            options.intra_op_num_threads = threads
        model = path if device == "cpu" else self._join_gpu_tail(path, output_size)
        try:
            self._session = ort.InferenceSession(model, options, providers=chosen)
        except Exception as error:  # ONNX Runtime's errors share no base class below Exception
            raise MtpanoError(f"ONNX Runtime cannot load {path}: {one_line(error)}") from error
        if self._session.get_providers()[0] != needed:  # it falls back with a log line alone
            raise MtpanoError(
                f"ONNX Runtime could not start its {needed}: check that the driver, CUDA and cuDNN "
                "fit onnxruntime-gpu, or use device cpu"
            )
        self._bindings = [self._bind() for _ in range(OUTPUT_SLOTS)]
        self._next = 0

    def _join_gpu_tail(self, path: Path, size: Size | None) -> Path | bytes:
        """The graph with the GPU tail, so that ids cross the bus and no logits; `path` where it has
        that already, where its ids need 16 bits, where the onnx package is missing, or where one
        message cannot hold it."""
        info = read_model_info(path)
        if info.tail == "gpu" or info.unlabelled > 255:
            return path
        try:
            import onnx

            from mtpano_model.graph.gpu_tail import join_gpu_tail
        except ImportError as error:
            log.info("labels are decided on the processor (%s): pip install onnx", error)
            return path
        model = onnx.load(str(path))
        if sum(len(tensor.raw_data) for tensor in model.graph.initializer) > _LARGEST_MESSAGE:
            return path
        join_gpu_tail(model, size)
        self.tail, self.output_size = "gpu", info.with_gpu_tail(size).output_size
        return model.SerializeToString()

    def _bind(self) -> tuple[ort.IOBinding, dict[str, NDArray[Any]]]:
        """Output arrays that the session writes itself, which spares a copy a frame."""
        binding, arrays = self._session.io_binding(), {}
        for output in self._session.get_outputs():
            array = np.empty(output.shape, _TYPES[output.type])
            binding.bind_output(output.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
            arrays[output.name] = array
        return binding, arrays

    def infer(self, image: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Run the network on uint8 [1, H, W, 3]."""
        binding, arrays = self._bindings[self._next]
        self._next = (self._next + 1) % len(self._bindings)
        image = np.ascontiguousarray(image)
        binding.bind_input(IMAGE, "cpu", 0, np.uint8, image.shape, image.ctypes.data)
        self._session.run_with_iobinding(binding)
        return dict(arrays)

    def close(self) -> None:
        """Let go of the session; arrays handed out stay alive as long as they are held."""
        self._bindings = []
        self._session = None
