"""The one object a robot holds: it knows the model and turns pictures into frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import Event
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.inference.engines import Engine, check_image, open_engine
from mtpano_model.inference.frame import Frame
from mtpano_model.inference.model_info import ModelInfo, find_model, read_model_info
from mtpano_model.inference.postprocess import Postprocessor, ValueRules
from mtpano_model.inference.preprocess import preprocess

if TYPE_CHECKING:
    from mtpano_model.inference.engines.tensorrt_progress import ProgressCallback


class Estimator:
    """Three stages, callable one by one (for pipelines) or together (`predict`).

    Each stage may run in a thread of its own, one call at a time a stage. compiled: see
    `Postprocessor`.
    """

    def __init__(self, engine: Engine, info: ModelInfo, compiled: bool | None = False) -> None:
        self.engine = engine
        # A quantized graph stays one, whatever the engine does with the rest of it.
        precision = "int8" if info.precision == "int8" else engine.precision
        info = replace(info, backend=engine.name, device=engine.device, precision=precision)
        if getattr(engine, "tail", info.tail) != info.tail:
            info = replace(info, tail="gpu", output_size=info.input_size)
        self.info = info
        self._postprocess = Postprocessor(self.info, compiled)

    def preprocess(
        self, rgb: NDArray[np.uint8], out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """RGB uint8 [h, w, 3] of any size -> uint8 [1, H, W, 3] at the network's size."""
        return preprocess(rgb, self.info.input_size, out)

    def infer(self, batch: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Run the network on uint8 [1, H, W, 3].

        The arrays belong to the engine and keep their values through its next two calls.
        ValueError for an image of another type or shape.
        """
        check_image(batch, (1, *self.info.input_size, 3))
        return self.engine.infer(batch)

    def postprocess(
        self,
        outputs: dict[str, NDArray[Any]],
        size: tuple[int, int] | None = None,
        rules: ValueRules | None = None,
        out: Frame | None = None,
    ) -> Frame:
        """Network outputs -> Frame at `size` (H, W), the network's input size if None."""
        return self._postprocess(outputs, size or self.info.input_size, rules, out)

    def predict(
        self,
        rgb: NDArray[np.uint8],
        output_size: tuple[int, int] | None = None,
        rules: ValueRules | None = None,
    ) -> Frame:
        """Picture -> Frame at `output_size` (H, W), the network's input size if None.

        `frame.milliseconds` tells preprocess, inference and postprocess apart.
        """
        times = [perf_counter()]
        batch = self.preprocess(rgb)
        times.append(perf_counter())
        outputs = self.infer(batch)
        times.append(perf_counter())
        frame = self.postprocess(outputs, output_size, rules)
        times.append(perf_counter())
        for stage, seconds in zip(STAGES, np.diff(times), strict=True):
            frame.milliseconds[stage] = float(seconds * 1e3)
        return frame

    def close(self) -> None:
        """Free the engine; the estimator is of no use afterwards. Calling it twice is fine."""
        self.engine.close()

    def __enter__(self) -> Estimator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


STAGES = ("preprocess", "inference", "postprocess")


def load_estimator(
    model: str | Path = "default",
    backend: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    precision: str | None = None,
    *,
    compiled: bool | None = False,
    progress: ProgressCallback | None = None,
    cancel: Event | None = None,
) -> Estimator:
    """Open a model.

    model: path of an ONNX file that `mtpano export` wrote, or a bundled name.
    backend: auto, openvino, onnxruntime or tensorrt; auto takes the fastest that is installed.
    device: auto, cpu, cuda, gpu (Intel, through OpenVINO) or tensorrt (ONNX Runtime's provider).
    threads: CPU threads; the engine's own choice if None.
    precision: fp32, bf16 or fp16 where the engine can; if None fp16 on TensorRT, fp32 elsewhere.
    compiled: postprocess by loops that numba compiles; None: if it is installed. For streams: its
        import takes half a second.
    progress, cancel: for the minutes that TensorRT may need to build, see TensorRTEngine.
    MtpanoError, in one sentence, for everything that can be wrong.
    """
    path = find_model(model)
    info = read_model_info(path)
    engine = open_engine(
        path, backend, device, threads, precision, progress=progress, cancel=cancel
    )
    return Estimator(engine, info, compiled)
