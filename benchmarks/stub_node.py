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
from mtpano_model.inference.model_info import read_model_info
from mtpano_ros.node import main

DEPTH_METRES = 2.5


class StubEngine:
    """A sphere of DEPTH_METRES, normals towards the camera, classes in stripes."""

    name, device, precision = "stub", "cpu", "fp32"

    def __init__(self, path: Path) -> None:
        info = read_model_info(path)
        height, width = info.output_size
        stripes = np.arange(width) * len(info.classes) // width
        logits = np.zeros((1, len(info.classes), height, width), np.float32)
        logits[0, stripes, :, np.arange(width)] = 1.0
        self._outputs = {
            "depth": np.full((1, 1, height, width), DEPTH_METRES, np.float32),
            "normals": np.ascontiguousarray(-rays(height, width).transpose(2, 0, 1))[None],
            "semseg": logits,
        }

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
