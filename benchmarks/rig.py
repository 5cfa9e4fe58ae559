"""What a rig costs: two lenses to the network's picture, against a panorama to the same.

    python -m benchmarks.rig --out docs/benchmarks/rig.json

Both are run in turns; the ratio of their medians is what counts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro

from benchmarks.timing import interleaved, write_figures
from mtpano_model.geometry import sphere
from mtpano_model.geometry.cameras import Camera
from mtpano_model.inference.preprocess import preprocess
from mtpano_model.rig.composer import Composer
from mtpano_model.rig.rig import Lens, Rig

NETWORK = (256, 512)


@dataclass
class Args:
    """How long, by which clock, and where to."""

    seconds: float = 10
    """Time to spend."""
    processor_time: bool = False
    """Measure what other work disturbs less."""
    out: Path | None = None
    """JSON file to write."""


def measure(seconds: float, processor_time: bool = False) -> dict[str, float]:
    """Milliseconds of both and their ratio, on one thread, in turns for about `seconds`."""
    cv2.setNumThreads(1)
    panorama = _pattern(1024, 2048)
    camera = Camera(
        "equidistant", (1440, 1472), (405.0, 405.0), (735.5, 719.5), (), (), field_of_view=200
    )
    back = sphere.yaw_matrix(np.pi)
    composer = Composer(
        Rig(
            (
                Lens("front", camera, np.eye(3), np.zeros(3), "front"),
                Lens("back", camera, back, np.zeros(3), "back"),
            )
        ),
        NETWORK,
    )
    pictures = {name: _pattern(1440, 1472) for name in ("front", "back")}
    batch = np.empty((1, *NETWORK, 3), np.uint8)
    calls = {
        "panorama": lambda: preprocess(panorama, NETWORK, batch),
        "rig": lambda: composer.compose(pictures, batch[0]),
    }
    clock = time.thread_time if processor_time else time.perf_counter
    medians = interleaved(calls, seconds, 20, clock)
    return {
        "rig_to_panorama_ratio": medians["rig"] / medians["panorama"],
        "rig_ms": medians["rig"] * 1e3,
        "panorama_ms": medians["panorama"] * 1e3,
    }


def _pattern(height: int, width: int) -> np.ndarray:
    """A picture with detail, the same in every call, uint8 [height, width, 3]."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = 120 + 50 * np.sin(columns / 7) * np.cos(rows / 11)
    return np.stack([waves, waves + 20, waves - 20], -1).astype(np.uint8)


def main(args: Args) -> None:
    """Measure, print and write."""
    result = measure(args.seconds, args.processor_time)
    print({name: round(value, 3) for name, value in result.items()})
    write_figures(args.out, result)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
