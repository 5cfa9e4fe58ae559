"""ONNX Runtime: the engine that runs everywhere, and NVIDIA GPUs through its CUDA provider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.engines import OUTPUT_SLOTS, NotInstalled

# From the most special to the most general: a session falls back along this line, node by node.
_PROVIDERS = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
_NEEDED = dict(zip(("tensorrt", "cuda", "cpu"), _PROVIDERS, strict=True))
_TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}


class OnnxRuntimeEngine:
    """Engine on ONNX Runtime; see `engines.Engine` for the life of its output arrays."""

    name = "onnxruntime"

    def __init__(
        self,
        path: Path,
        device: str = "cpu",
        threads: int | None = None,
        precision: str | None = None,
    ) -> None:
        providers = [p for p in _PROVIDERS if p in ort.get_available_providers()]
        needed = _NEEDED[device]
        if needed not in providers:
            raise NotInstalled(
                f"this ONNX Runtime has no {needed}: pip install onnxruntime-gpu in place of "
                "onnxruntime, or use device cpu"
            )
        self.device = device
        self.precision = precision or "fp32"
        if self.precision != "fp32":
            raise MtpanoError(
                f"backend 'onnxruntime' has no precision '{precision}': it runs the graph as it "
                "is, expected fp32"
            )
        providers = providers[providers.index(needed) :]
        options = ort.SessionOptions()
        options.log_severity_level = 3
        # Idle threads would spin: on a busy machine that doubled time and processor load alike.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = ort.InferenceSession(path, options, providers=providers)
        except Exception as error:  # ONNX Runtime's errors share no base class below Exception
            raise MtpanoError(f"ONNX Runtime cannot load {path}: {_one_line(error)}") from error
        if self._session.get_providers()[0] != needed:  # it falls back with a log line alone
            raise MtpanoError(
                f"ONNX Runtime could not start its {needed}: check that the driver, CUDA and cuDNN "
                "fit onnxruntime-gpu, or use device cpu"
            )
        self._bindings = [self._bind() for _ in range(OUTPUT_SLOTS)]
        self._next = 0

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
        binding.bind_input("image", "cpu", 0, np.uint8, image.shape, image.ctypes.data)
        self._session.run_with_iobinding(binding)
        return dict(arrays)

    def close(self) -> None:
        """Let go of the session; arrays handed out stay alive as long as they are held."""
        self._bindings = []
        self._session = None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
