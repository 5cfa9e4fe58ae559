"""What a rig costs: two lenses to the network's picture, against a panorama to the same.

    python -m benchmarks.rig --out docs/benchmarks/rig.json

Both are run in turns; the ratio of their medians is what counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import cv2
import numpy as np

from mtpano_model.geometry import sphere
from mtpano_model.geometry.cameras import Camera
from mtpano_model.inference.preprocess import preprocess
from mtpano_model.rig.composer import Composer
from mtpano_model.rig.rig import Lens, Rig

NETWORK = (256, 512)


def measure(seconds: float, processor_time: bool = False) -> dict[str, float]:
    """Milliseconds of both and their ratio, on one thread, in turns for about `seconds`."""
    cv2.setNumThreads(1)
    clock = time.thread_time if processor_time else time.perf_counter
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
    taken: dict[str, list[float]] = {name: [] for name in calls}
    end = time.monotonic() + seconds
    for call in calls.values():
        call()
    while time.monotonic() < end or len(taken["rig"]) < 20:
        for name, call in calls.items():
            began = clock()
            call()
            taken[name].append(clock() - began)
    medians = {name: statistics.median(times) for name, times in taken.items()}
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=10, help="time to spend")
    parser.add_argument(
        "--processor-time", action="store_true", help="which other work disturbs less"
    )
    parser.add_argument("--out", type=Path, help="JSON to write")
    args = parser.parse_args()
    result = measure(args.seconds, args.processor_time)
    print({name: round(value, 3) for name, value in result.items()})
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
