"""One door to every model: an ONNX file through the engines, a checkpoint through torch."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from mtpano_model.classes import ClassSet, load_class_set
from mtpano_model.evaluation.metrics import Maps
from mtpano_model.export.onnx_graph import OUTPUTS, CPUTailGraph, check_size
from mtpano_model.inference import Estimator, load_estimator
from mtpano_model.inference.postprocess import argmax_labels
from mtpano_model.inference.preprocess import preprocess
from mtpano_model.inference.resize import resize_linear, resize_nearest
from mtpano_model.network import PDBridgeNet
from mtpano_model.network.pretrained import from_pretrained
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
        info = estimator.info
        self.classes = info.classes
        self.estimator = estimator
        self.about = {
            "model": str(info.path),
            "preset": info.preset,
            "input": _times(info.input_size),
            "engine": f"{info.backend} {info.precision} on {info.device}",
            "revision": info.revision,
        }

    def __call__(self, rgb: NDArray[np.uint8], size: Size) -> Maps:
        frame = self.estimator.predict(rgb, size)
        return Maps(frame.depth, frame.normals, frame.labels)


class NetworkPredictor:
    """A network in torch; the tail is that of the exported model, so the figures are the same.

    size: (H, W) that pictures are brought to, the configuration's image size if None.
    """

    def __init__(self, net: PDBridgeNet, name: str = "", size: Size | None = None):
        self.size = size or net.config.image_size
        check_size(net, self.size)
        self.graph = CPUTailGraph(net).eval()
        self.names = [name for name in OUTPUTS if name in net.config.tasks]
        self.classes = load_class_set(net.config.class_set)
        self.about = {
            "model": name,
            "preset": net.config.name,
            "input": _times(self.size),
            "engine": f"torch {torch.__version__}",
        }

    @torch.inference_mode()
    def __call__(self, rgb: NDArray[np.uint8], size: Size) -> Maps:
        batch = torch.from_numpy(preprocess(rgb, self.size))
        values = (value[0].float().numpy() for value in self.graph(batch))
        found = dict(zip(self.names, values, strict=True))
        depth = normals = labels = None
        if "depth" in found:
            depth = resize_linear(found["depth"][0], size)
        if "normals" in found:
            normals = np.stack([resize_linear(plane, size) for plane in found["normals"]], -1)
        if "semseg" in found:
            labels = resize_nearest(argmax_labels(found["semseg"])[0], size)
        return Maps(depth, normals, labels)


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

    backend, device, precision are the engines'; size, the network's input, is for checkpoints.
    """
    path = Path(model).expanduser()
    if path.is_dir() or path.suffix in (".safetensors", ".json"):
        weights = best_weights(path)
        if threads is not None:
            torch.set_num_threads(threads)
        return NetworkPredictor(from_pretrained(weights), str(weights), size)
    return OnnxPredictor(load_estimator(model, backend, device, threads, precision))


def _times(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
