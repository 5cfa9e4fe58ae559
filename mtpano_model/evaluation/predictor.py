"""One interface to all models: an ONNX file runs on an engine, a checkpoint in torch."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from mtpano_model.addresses import refuse_address
from mtpano_model.classes import ClassSet
from mtpano_model.errors import MtpanoError
from mtpano_model.export.onnx_graph import git_revision
from mtpano_model.export.torch_engine import network_estimator
from mtpano_model.graph.model_info import ModelInfo
from mtpano_model.inference import Estimator, ValueRules, load_estimator
from mtpano_model.inference.postprocess_rules import USUAL_FINISH, DepthFinish
from mtpano_model.metrics.evaluation import Maps
from mtpano_model.network import PDBridgeNet
from mtpano_model.network.pretrained import from_pretrained
from mtpano_model.pictures.size import Size, size_text
from mtpano_model.tasks import CONFIDENCE
from mtpano_model.torch_device import torch_device
from mtpano_model.training.checkpoint import best_weights
from mtpano_model.training.validation import known_maps


class Predictor(Protocol):
    """A model that turns a picture into maps. classes: of its labels. about: facts for reports."""

    classes: ClassSet
    about: dict[str, str]

    def __call__(self, rgb: NDArray[np.uint8], size: Size) -> Maps:
        """RGB uint8 [h, w, 3] -> maps at `size` (H, W); what the model lacks is None."""
        ...


class OnnxPredictor:
    """A robot's model, run exactly as the robot runs it."""

    def __init__(self, estimator: Estimator, rules: ValueRules | None = None):
        self.estimator, self._rules = estimator, rules
        self.classes = estimator.info.classes
        self.about = _about(estimator.info)

    def __call__(self, rgb: NDArray[np.uint8], size: Size) -> Maps:
        frame = self.estimator.predict(rgb, size, self._rules)
        confidence = frame.extras.get(CONFIDENCE.name)
        return Maps(frame.depth, frame.normals, frame.labels, confidence=confidence)


class NetworkPredictor:
    """A network in torch between the robot's own pre- and postprocessing.

    size: (H, W) that pictures are brought to, the configuration's image size if None. device: one
    of torch's.
    """

    def __init__(
        self,
        net: PDBridgeNet,
        name: str = "",
        size: Size | None = None,
        device: str = "cpu",
        rules: ValueRules | None = None,
    ):
        self._rules = rules
        self._estimator = network_estimator(
            net, size, device, path=Path(name), revision=git_revision()
        )
        self.net, self.size = net, self._estimator.info.input_size
        self.classes = self._estimator.info.classes
        self.about = _about(self._estimator.info)

    def __call__(self, rgb: NDArray[np.uint8], size: Size) -> Maps:
        return known_maps(self._estimator.predict(rgb, size, self._rules), self.net)


def _about(info: ModelInfo) -> dict[str, str]:
    return {
        "model": str(info.path),
        "preset": info.preset,
        "input": size_text(info.input_size),
        "engine": f"{info.backend} {info.precision} on {info.device}",
        "revision": info.revision,
    }


def open_predictor(
    model: str,
    *,
    backend: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    precision: str | None = None,
    size: Size | None = None,
    depth_finish: DepthFinish = USUAL_FINISH,
) -> Predictor:
    """A model by bundled name, .onnx file, training run, checkpoint folder or .safetensors file.

    device: of the engine, or of torch. backend, precision: of an ONNX model's engine; size: of a
    checkpoint's input; MtpanoError where the model is of the other kind. depth_finish: see
    `ValueRules`.
    """
    refuse_address(model)
    rules = ValueRules(depth_finish=depth_finish)
    path = Path(model).expanduser()
    if path.is_dir() or path.suffix in (".safetensors", ".json"):
        if backend != "auto" or precision is not None:
            raise MtpanoError(
                f"{model} is a checkpoint, which runs in torch and fp32: leave --backend and "
                "--precision out, or export it first"
            )
        weights = best_weights(path)
        if threads is not None:
            torch.set_num_threads(threads)
        net = from_pretrained(weights)
        return NetworkPredictor(net, str(weights), size, torch_device(device), rules)
    if size is not None:
        raise MtpanoError(
            f"{model} is an ONNX model, whose input size is fixed: leave --network-size out, or "
            "export its checkpoint at that --size"
        )
    return OnnxPredictor(load_estimator(model, backend, device, threads, precision), rules)
