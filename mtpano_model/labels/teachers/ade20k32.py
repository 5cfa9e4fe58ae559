"""Two small ADE20K segmenters that run offline on a CPU, as TFLite files."""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtpano_model.data.panorama import Panorama
from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.geometry.perspective import Views
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.semantics import ClassScores

_DEEPLAB_LOGITS = 199  # the tensor before its arg-max


class Ade20k32:
    """Two files of github.com/mlcommons/mobile_models: 512x512 RGB in, logits of 32 classes at
    128x128 out.

    source: `v0_7/tflite/deeplabv3_mnv2_ade20k_int8.tflite`, or
    `v1_1/Google/mobile_segmenter_r3_quant.tflite` without its last operator, ResizeArgmax, which no
    runtime outside Google has. Needs `ai-edge-litert` (or `tflite-runtime`). Licence: Apache-2.0;
    trained on ADE20K, whose images have terms for research. They are unreliable on tilted
    pictures.
    """

    tasks = ("semseg",)
    pitch_deg = (-30.0, 30.0)
    license = "Apache-2.0 (MLCommons mobile_models); trained on ADE20K (research terms)"

    def __init__(self, source: str | None, class_set: str, device: str):
        if source is None:
            raise MtpanoError(
                "teacher 'ade20k32' has no weights of its own: give MLCommons' "
                "deeplabv3_mnv2_ade20k_int8.tflite with --teacher ade20k32:PATH"
            )
        path = Path(source)
        self.name = f"ade20k32:{path.name}"
        if not path.is_file():
            raise MtpanoError(
                f"teacher file {path} does not exist: give a .tflite file with "
                "--teacher ade20k32:PATH"
            )
        self._interpreter, self._logits = _open(path)
        self._input = self._interpreter.get_input_details()[0]
        details = {d["index"]: d for d in self._interpreter.get_tensor_details()}
        self._scale, self._zero = details[self._logits]["quantization"]
        if tuple(details[self._logits]["shape"])[-1] != 32:
            raise MtpanoError(
                f"{path} has outputs of shape {details[self._logits]['shape']}: give a model with "
                "logits of 32 classes"
            )
        self._classes = ClassScores("ade20k32", class_set)

    def label(self, patches: Tensor, views: Views, panorama: Panorama) -> TeacherLabels:
        pictures = patches.movedim(1, -1).cpu().numpy()
        logits = np.stack([self._run(picture) for picture in pictures])
        scores = torch.from_numpy(logits).movedim(-1, 1).to(patches.device).softmax(1)
        classes, confidence = self._classes.best(scores, views.size)
        return TeacherLabels(classes=classes, confidence=confidence)

    def _run(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits [h', w', 32]."""
        height, width = self._input["shape"][1:3]
        if picture.shape[:2] != (height, width):
            resized = cv2.resize(np.ascontiguousarray(picture), (int(width), int(height)))
            picture = np.asarray(resized, np.uint8)
        self._interpreter.set_tensor(self._input["index"], np.ascontiguousarray(picture[None]))
        self._interpreter.invoke()
        raw = self._interpreter.get_tensor(self._logits)[0].astype(np.float32)
        return (raw - self._zero) * np.float32(self._scale)


def _open(path: Path) -> tuple[Any, int]:
    """The interpreter, and the index of the tensor that holds the logits."""
    interpreter = _interpreter(path, keep_all=False)
    output = interpreter.get_output_details()[0]
    if output["dtype"] in (np.uint8, np.int8):
        return interpreter, output["index"]
    return _interpreter(path, keep_all=True), _DEEPLAB_LOGITS


def _interpreter(path: Path, keep_all: bool) -> Any:
    for package in ("ai_edge_litert", "tflite_runtime"):
        try:
            module = import_module(f"{package}.interpreter")
        except ImportError:
            continue
        try:
            with warnings.catch_warnings():  # about the memory of keeping all tensors
                warnings.simplefilter("ignore")
                interpreter = module.Interpreter(
                    str(path), num_threads=1, experimental_preserve_all_tensors=keep_all
                )
            interpreter.allocate_tensors()
        except ValueError as error:
            raise MtpanoError(f"{path} is not a TFLite model ({error}): copy it again") from error
        except RuntimeError as error:
            raise MtpanoError(
                f"{path} has an operator that {package} lacks ({one_line(error)}): remove the "
                "operator, or give another file"
            ) from error
        return interpreter
    raise MtpanoError(
        "teacher 'ade20k32' needs the library 'ai-edge-litert': install it with "
        "`pip install ai-edge-litert`"
    )
