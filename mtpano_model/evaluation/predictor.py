"""One door to every model: an ONNX file through the engines, a checkpoint through torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from mtpano_model.classes import ClassSet, load_class_set
from mtpano_model.errors import MtpanoError
from mtpano_model.export.onnx_graph import OUTPUTS, CPUTailGraph, check_size, git_revision
from mtpano_model.inference import Estimator, load_estimator
from mtpano_model.inference.model_info import ModelInfo
from mtpano_model.metrics.evaluation import Maps
from mtpano_model.network import PDBridgeNet
from mtpano_model.network.pretrained import from_pretrained
from mtpano_model.torch_device import torch_device
from mtpano_model.training.checkpoint import best_weights

Size = tuple[int, int]


class Predictor(Protocol):
    """A model that turns a picture into maps. classes: of its labels; about: facts for reports."""

    classes: ClassSet
    about: dict[str, str]

    def __call__(self, rgb: NDArray[np.uint8], size: Size) -> Maps:
        """RGB uint8 [h, w, 3] -> maps at `size` (H, W); what the model lacks is None."""
        ...


class OnnxPredictor:
    """A robot's model, run exactly as the robot runs it."""

    def __init__(self, estimator: Estimator):
        self.estimator = estimator
        self.classes = estimator.info.classes
        self.about = _about(estimator.info)

    def __call__(self, rgb: NDArray[np.uint8], size: Size) -> Maps:
        frame = self.estimator.predict(rgb, size)
        return Maps(frame.depth, frame.normals, frame.labels)


class NetworkPredictor:
    """A network in torch between the robot's own pre- and postprocessing.

    size: (H, W) that pictures are brought to, the configuration's image size if None. device: one
    of torch's.
    """

    def __init__(
        self, net: PDBridgeNet, name: str = "", size: Size | None = None, device: str = "cpu"
    ):
        self.net, self.size = net, size or net.config.image_size
        check_size(net, self.size)
        self.classes = load_class_set(net.config.class_set)
        height, width = (side // net.decode_stride for side in self.size)
        info = ModelInfo(
            path=Path(name),
            classes=self.classes,
            input_size=self.size,
            output_size=(height, width),
            tail="cpu",
            precision=_TorchEngine.precision,
            preset=net.config.name,
            revision=git_revision(),
            license="unknown",
            trained_on="unknown",
        )
        self._estimator = Estimator(_TorchEngine(net, device, len(self.classes)), info)
        self.about = _about(self._estimator.info)

    def __call__(self, rgb: NDArray[np.uint8], size: Size) -> Maps:
        frame, tasks = self._estimator.predict(rgb, size), self.net.config.tasks
        return Maps(
            frame.depth if "depth" in tasks else None,
            frame.normals if "normals" in tasks else None,
            frame.labels if "semseg" in tasks else None,
        )


class _TorchEngine:
    """The graph that an export would hold, in torch.

    Values to which no rule of the postprocessing applies stand in for tasks that it lacks.
    """

    name = f"torch {torch.__version__}"
    precision = "fp32"

    def __init__(self, net: PDBridgeNet, device: str, num_classes: int):
        self.device = device
        self._graph = CPUTailGraph(net).to(device).eval()
        self._names = [name for name in OUTPUTS if name in net.config.tasks]
        self._num_classes = num_classes

    @torch.inference_mode()
    def infer(self, image: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        values = self._graph(torch.from_numpy(image).to(self.device))
        found = {k: v.float().cpu().numpy() for k, v in zip(self._names, values, strict=True)}
        size = values[0].shape[-2:]
        return {
            "depth": np.ones((1, 1, *size), np.float32),
            "normals": np.zeros((1, 3, *size), np.float32),
            "semseg": np.full((1, self._num_classes, *size), np.nan, np.float32),
            **found,
        }

    def close(self) -> None:
        pass


def _about(info: ModelInfo) -> dict[str, str]:
    return {
        "model": str(info.path),
        "preset": info.preset,
        "input": _times(info.input_size),
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
) -> Predictor:
    """A model by bundled name, .onnx file, training run, checkpoint folder or .safetensors file.

    device: of the engine, or of torch. backend, precision: of an ONNX model's engine; size: of a
    checkpoint's input; MtpanoError where the model is of the other kind.
    """
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
        return NetworkPredictor(from_pretrained(weights), str(weights), size, torch_device(device))
    if size is not None:
        raise MtpanoError(
            f"{model} is an ONNX model, whose input size is fixed: leave --network-size out, or "
            "export its checkpoint at that --size"
        )
    return OnnxPredictor(load_estimator(model, backend, device, threads, precision))


def _times(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
