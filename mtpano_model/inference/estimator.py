"""`Estimator`: a model that is open on an engine, and turns pictures into frames."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from threading import Event
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.graph.contract import image_tensor
from mtpano_model.graph.model_info import ModelInfo, find_model, read_model_info
from mtpano_model.inference.answer import Adjust
from mtpano_model.inference.engines import Engine, check_image, check_outputs, open_engine
from mtpano_model.inference.frame import FIELDS, Frame
from mtpano_model.inference.postprocess import Postprocessor, ValueRules
from mtpano_model.inference.preprocess import preprocess
from mtpano_model.pictures.size import Size

if TYPE_CHECKING:
    from mtpano_model.inference.engines.progress import ProgressCallback


class Estimator:
    """Three stages, callable one by one (for pipelines) or together (`predict`).

    Each stage may run in a thread of its own, with one call at a time. compiled: see
    `Postprocessor`. promised: whether `info` is from a file, with which the engine's arrays are
    then compared.
    """

    def __init__(
        self,
        engine: Engine,
        info: ModelInfo,
        compiled: bool | None = False,
        *,
        promised: bool = True,
    ) -> None:
        self.engine = engine
        info = replace(info, backend=engine.name, device=engine.device, precision=engine.precision)
        if getattr(engine, "tail", info.tail) != info.tail:
            info = info.with_gpu_tail(getattr(engine, "output_size", None))
        self.info = info
        self._promised = info.outputs if promised else {}
        self._postprocess = Postprocessor(self.info, compiled)

    def preprocess(
        self, rgb: NDArray[np.uint8], out: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """RGB uint8 [h, w, 3] of any size -> uint8 [1, H, W, 3] at the network's size."""
        return preprocess(rgb, self.info.input_size, out)

    def infer(self, batch: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Run the network on uint8 [1, H, W, 3].

        The arrays belong to the engine and keep their values through its next two calls.
        ValueError for an image of another type or shape, MtpanoError where the model gives other
        arrays than its file promises.
        """
        check_image(batch, image_tensor(self.info.input_size).shape)
        outputs = self.engine.infer(batch)
        check_outputs(outputs, self._promised)
        return outputs

    def postprocess(
        self,
        outputs: dict[str, NDArray[Any]],
        size: Size | None = None,
        rules: ValueRules | None = None,
        out: Frame | None = None,
        wanted: Collection[str] = FIELDS,
        adjust: Adjust | None = None,
    ) -> Frame:
        """Network outputs -> Frame at `size` (H, W), the network's input size if None.

        Only the `wanted` arrays of the frame are sure to be filled. adjust: corrects the network's
        answer first, see `Postprocessor`.
        """
        return self._postprocess(outputs, size or self.info.input_size, rules, out, wanted, adjust)

    def predict(
        self,
        rgb: NDArray[np.uint8],
        output_size: Size | None = None,
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
        """Free the engine; the estimator cannot be used afterwards. May be called twice."""
        self.engine.close()

    def __enter__(self) -> Estimator:
        return self

    def __exit__(self, *_: object) -> None:
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
    keep: bool = False,
    progress: ProgressCallback | None = None,
    cancel: Event | None = None,
    output_size: Size | None = None,
) -> Estimator:
    """Open a model.

    model: path of an ONNX file that `mtpano export` wrote, or a bundled name.
    backend, device: see `engine_names`; auto takes the fastest that is installed.
    threads: CPU threads; the engine's own choice if None.
    precision: fp32, bf16 or fp16 where the engine can; if None fp16 on GPUs, bf16 in OpenVINO on a
        processor with AVX512_BF16 or AMX, fp32 elsewhere.
    compiled: postprocess by loops that numba compiles; None: if it is installed. For streams: its
        import takes half a second.
    keep: what OpenVINO compiles for a processor, on disk, so that the next start is shorter.
    progress, cancel: for the minutes that TensorRT may need to build, see TensorRTEngine.
    output_size: (H, W) of the frames that will be asked for, where it is known: an NVIDIA GPU makes
        them at this size, and the processor has nothing to interpolate.
    MtpanoError, in one sentence, for everything that can be wrong.
    """
    path = find_model(model)
    info = read_model_info(path)
    engine = open_engine(
        path,
        backend,
        device,
        threads,
        precision,
        keep=keep,
        progress=progress,
        cancel=cancel,
        output_size=output_size,
    )
    return Estimator(engine, info, compiled)
