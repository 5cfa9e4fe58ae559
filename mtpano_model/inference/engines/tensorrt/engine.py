"""TensorRT: the engine for NVIDIA GPUs, desktop and Jetson, versions 10.3 to 11.x."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.graph.contract import image_tensor
from mtpano_model.graph.model_info import read_model_info
from mtpano_model.inference.engines.progress import BuildMonitor, ProgressCallback
from mtpano_model.inference.engines.tensorrt.library import (
    find_gpu,
    load_cuda,
    load_tensorrt,
)
from mtpano_model.pictures.size import Size

if TYPE_CHECKING:
    from mtpano_model.inference.engines.cache import EngineCache
    from mtpano_model.inference.engines.tensorrt.builder import BuildSettings


class TensorRTEngine:
    """Engine on TensorRT; see `engines.Engine` for the life of its output arrays.

    path: ONNX file of the contract, with either tail; what runs always has the GPU tail.
    output_size: (H, W) at which it finishes the outputs of a file with the CPU tail; the picture's
    if None.
    device: "auto" or "cuda": the first visible GPU. threads: of no meaning here.
    precision: fp16 if None, fp32.
    progress: called while an engine is built, from any thread. cancel: stops the build once set.
    settings, cache, rebuild, use_graph: see BuildSettings, EngineCache, obtain_plan, Executor.
    MtpanoError in one sentence for all that can be missing; BuildCancelled after `cancel`.
    """

    name = "tensorrt"
    device = "cuda"
    tail = "gpu"

    def __init__(
        self,
        path: Path,
        device: str = "auto",
        threads: int | None = None,
        precision: str | None = None,
        *,
        progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
        settings: BuildSettings | None = None,
        cache: EngineCache | None = None,
        rebuild: bool = False,
        use_graph: bool = True,
        output_size: Size | None = None,
    ) -> None:
        if device not in ("auto", "cuda"):
            raise MtpanoError(f"backend 'tensorrt' does not run on '{device}': expected cuda")
        runtime = load_cuda()
        gpu = find_gpu(runtime)
        self.tensorrt = tensorrt = load_tensorrt()
        try:  # here, because these need the onnx package, which a machine may lack
            from mtpano_model.inference.engines.cache import EngineCache
            from mtpano_model.inference.engines.tensorrt.builder import BuildSettings
            from mtpano_model.inference.engines.tensorrt.executor import Executor, engine_tensors
            from mtpano_model.inference.engines.tensorrt.graph import resolve_precision
            from mtpano_model.inference.engines.tensorrt.memory import Cuda
            from mtpano_model.inference.engines.tensorrt.plans import engine_facts, obtain_plan
        except ImportError as error:
            raise MtpanoError(
                f"the backend 'tensorrt' prepares its graphs with the onnx package ({error}): "
                "pip install onnx"
            ) from error
        info = read_model_info(path)
        self.input_shape = image_tensor(info.input_size).shape
        self.precision = resolve_precision(info, precision)
        finished = info.with_gpu_tail(output_size)
        self.output_size = finished.output_size
        cuda = Cuda(runtime)
        cuda.wait_without_spinning()
        settings = settings or BuildSettings()
        self.executor = obtain_plan(
            tensorrt,
            engine_facts(tensorrt, gpu, info, self.precision, self.output_size),
            info,
            replace(settings, workspace_mb=settings.workspace_on(gpu)),
            cache or EngineCache(),
            BuildMonitor(progress, cancel),
            lambda plan: Executor(
                tensorrt,
                cuda,
                plan,
                engine_tensors(finished),
                in_place=gpu.integrated,
                use_graph=use_graph,
            ),
            rebuild,
        )

    def infer(self, image: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Run the network on uint8 [1, H, W, 3]: depth, normals and labels at `output_size`."""
        return self.executor.run(image)

    def close(self) -> None:
        """Free the GPU; calling it twice is fine."""
        self.executor.close()
