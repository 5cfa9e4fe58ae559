"""Runs a network in torch between the robot's own pre- and postprocessing.

Evaluation, validation and the teacher pd-bridgenet run a checkpoint in this way, so that its
results are those of its export.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtpano_model.classes import load_class_set
from mtpano_model.export.onnx_graph import CPUTailGraph, check_size
from mtpano_model.graph.contract import REQUIRED
from mtpano_model.graph.model_info import ModelInfo
from mtpano_model.inference import Estimator
from mtpano_model.network import PDBridgeNet
from mtpano_model.pictures.size import Size


class TorchEngine:
    """The graph that an export would hold, in torch; see `engines.Engine`.

    Required tasks that the network lacks get placeholders that no rule of the postprocessing
    changes: 1 m, zero normals, NaN logits. tasks: the tasks that it has.
    """

    name = f"torch {torch.__version__}"
    precision = "fp32"

    def __init__(self, net: PDBridgeNet, device: str | torch.device = "cpu") -> None:
        self.device = str(device)
        self._graph = CPUTailGraph(net).to(device).eval()
        self.tasks = self._graph.tasks
        self._num_classes = net.config.num_classes

    @torch.inference_mode()
    def infer(self, image: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Run the network on uint8 [B, H, W, 3]: the arrays of the CPU tail, new ones each time."""
        values = self._graph(torch.from_numpy(image).to(self.device))
        found = {
            task.name: value.float().cpu().numpy()
            for task, value in zip(self.tasks, values, strict=True)
        }
        shape, stand_ins = values[0].shape, {"value": 1.0, "direction": 0.0, "classes": np.nan}
        for task in REQUIRED:
            if task.name not in found:
                channels = task.num_channels(self._num_classes)
                found[task.name] = np.full(
                    (shape[0], channels, *shape[2:]), stand_ins[task.kind], np.float32
                )
        return found

    def close(self) -> None:
        pass


def network_estimator(
    net: PDBridgeNet,
    size: Size | None = None,
    device: str | torch.device = "cpu",
    *,
    path: Path = Path(),
    revision: str = "unknown",
) -> Estimator:
    """An estimator that runs `net` (which goes to `device`, in evaluation mode) at `size` (H, W).

    size: the configuration's image size if None; MtpanoError if it does not fit the network.
    path, revision: where the weights come from, for messages and reports.
    """
    size = size or net.config.image_size
    check_size(net, size)
    engine = TorchEngine(net, device)
    info = ModelInfo(
        path=path,
        classes=load_class_set(net.config.class_set),
        input_size=size,
        output_size=size,  # nobody asks: the arrays say what each task's is
        tail="cpu",
        precision=engine.precision,
        preset=net.config.name,
        revision=revision,
        license="unknown",
        trained_on="unknown",
        tasks=(*REQUIRED, *(task for task in engine.tasks if task.optional)),
    )
    return Estimator(engine, info, promised=False)
