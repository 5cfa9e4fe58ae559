"""What decoding costs: one core, H.264 and H.265 of 960x1920, against 30 pictures a second.

    python -m benchmarks.video --out docs/benchmarks/video.json

Pictures are bundled panoramas that move sideways, with noise of a camera in the second row. Times
are the processor's, so that other work disturbs them less; 30 Hz leaves 33 ms a picture.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tyro

from benchmarks.timing import write_figures
from mtpano_model.video.decoder import Decoder
from mtpano_model.video.encoder import Codec, Encoder
from mtpano_ros.tools.sources import PANORAMAS, open_source

SIZE = (960, 1920)
RATE = 30


@dataclass
class Args:
    """How many pictures, and where to."""

    pictures: int = 90
    """How many a stream."""
    out: Path | None = None
    """JSON file to write."""


def measure(codec: Codec, noise: float, count: int) -> dict[str, float]:
    """Milliseconds of processor time a picture, colours included, and the stream's Mbit/s."""
    rng = np.random.default_rng(0)
    still = cv2.resize(next(open_source(PANORAMAS).frames()), SIZE[::-1])
    encoder = Encoder(codec, RATE, RATE)
    packets = []
    for number in range(count):
        picture = np.roll(still, 4 * number, axis=1)
        if noise:
            picture = np.clip(picture + rng.normal(0, noise, (*SIZE, 1)), 0, 255).astype(np.uint8)
        packets.append(encoder.encode(picture))
    decoder = Decoder(codec, print)
    taken = []
    for stamp, packet in enumerate(packets):
        began = time.thread_time()
        for shown in decoder.feed(packet, stamp):
            shown.rgb()
        taken.append(time.thread_time() - began)
    return {
        "median_ms": 1e3 * statistics.median(taken),
        "worst_ms": 1e3 * max(taken),
        "mbit_per_second": 8e-6 * sum(map(len, packets)) / count * RATE,
        "shown": decoder.counts["shown"],
    }


def main(args: Args) -> None:
    """Measure, print and write."""
    results = {}
    codecs: tuple[Codec, ...] = ("h264", "hevc")
    for codec in codecs:
        for name, noise in (("clean", 0.0), ("noisy", 6.0)):
            found = measure(codec, noise, args.pictures)
            results[f"{codec}_{name}"] = found
            print(codec, name, {key: round(value, 1) for key, value in found.items()})
    write_figures(args.out, results)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
