"""Our node with an engine that returns fixed arrays at once: what is left is the frame path.

python -m benchmarks.stub_node --ros-args -p model:=MODEL
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry.sphere import rays
from mtpano_model.graph.model_info import read_model_info
from mtpano_model.pictures.size import Size
from mtpano_ros.node import main

DEPTH_METRES = 2.5


class StubEngine:
    """A sphere of DEPTH_METRES, normals towards the camera, classes in stripes."""

    name, device, precision = "stub", "cpu", "fp32"

    def __init__(self, path: Path) -> None:
        info = read_model_info(path)
        classes = len(info.classes)

        def size(name: str) -> Size:
            return info.output_sizes.get(name, info.output_size)

        height, width = size("semseg")
        stripes = np.arange(width) * classes // width
        logits = np.zeros((1, classes, height, width), np.float32)
        logits[0, stripes, :, np.arange(width)] = 1.0
        towards = -rays(*size("normals")).transpose(2, 0, 1)
        self._outputs = {
            "depth": np.full((1, 1, *size("depth")), DEPTH_METRES, np.float32),
            "normals": np.ascontiguousarray(towards)[None],
            "semseg": logits,
        }
        for task in info.tasks:
            if task.optional:
                shape = (1, task.num_channels(classes), *size(task.name))
                self._outputs[task.name] = np.ones(shape, np.float32)

    def infer(self, image: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """The same arrays every time."""
        return self._outputs

    def close(self) -> None:
        """Nothing to free."""


def open_stub(path: Path, *_: Any, **__: Any) -> StubEngine:
    """Stands in for mtpano_model.inference.engines.open_engine."""
    return StubEngine(path)


if __name__ == "__main__":
    with patch("mtpano_model.inference.estimator.open_engine", open_stub):
        sys.exit(main())
