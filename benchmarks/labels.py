"""What labelling costs: `python -m benchmarks.labels [--rooms DIR] [--out FILE.json]`.

One thread throughout; times of one core are processor time, the best of several runs, so that a
busy machine disturbs them least. With --rooms also the quality of labels with a perfect teacher.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
import tyro

from benchmarks.timing import seconds_of, write_figures
from mtpano_model.commands import label
from mtpano_model.data.panorama import Panorama
from mtpano_model.data.pseudo_encoding import PseudoLabels, encode
from mtpano_model.data.pseudo_labelled import PseudoLabelled
from mtpano_model.data.store import Store
from mtpano_model.data.store_writer import StoreWriter
from mtpano_model.geometry.perspective import Views, to_canvas, to_patches
from mtpano_model.labels.config import LabelConfig
from mtpano_model.labels.engine import LabelEngine
from mtpano_model.labels.teacher import TeacherLabels

CANVAS = (512, 1024)


@dataclass
class Args:
    """Time reprojection, the label engine and the store's reader."""

    rooms: Path | None = None
    """Folder of the rooms set: also measure label quality on 20 of its frames."""
    out: Path | None = None
    """Write the figures to this JSON file too."""
    repeats: int = 30
    """Runs of which the best counts."""


def main(args: Args) -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    logging.disable(logging.WARNING)
    figures: dict[str, Any] = {"reprojection": reprojection(args.repeats)}
    with tempfile.TemporaryDirectory() as folder:
        figures["engine"] = engine(Path(folder) / "store")
        figures["reading"] = reading(Path(folder) / "store")
        if args.rooms is not None:
            figures["quality"] = quality(args.rooms, Path(folder))
    print(json.dumps(figures, indent=1))
    write_figures(args.out, figures)


def best_ms(function: Callable[[], Any], repeats: int) -> float:
    """Milliseconds of the fastest run."""
    return 1000 * min(seconds_of(function, time.process_time) for _ in range(repeats))


def reprojection(repeats: int) -> dict[str, float]:
    """A 512x512 RGB patch to the 512x1024 canvas and back, against a plain grid_sample."""
    view = Views.look([0.3], [0.2], [1.7], (512, 512))
    patch, panorama = torch.rand(1, 3, 512, 512), torch.rand(3, *CANVAS)
    to_large, to_small = identity_grid(*CANVAS), identity_grid(512, 512)
    times = {
        "grid_sample_to_canvas_ms": lambda: F.grid_sample(patch, to_large, align_corners=False),
        "to_canvas_ms": lambda: to_canvas(patch, view, CANVAS),
        "grid_sample_to_patch_ms": lambda: F.grid_sample(
            panorama[None], to_small, align_corners=False
        ),
        "to_patch_ms": lambda: to_patches(panorama, view),
    }
    result = {name: round(best_ms(run, repeats), 3) for name, run in times.items()}
    for name in ("canvas", "patch"):
        plain = result[f"grid_sample_to_{name}_ms"]
        result[f"to_{name}_ratio"] = round(result[f"to_{name}_ms"] / plain, 2)
    return result


def identity_grid(height: int, width: int) -> torch.Tensor:
    """A sampling grid [1, height, width, 2] over the whole picture."""
    y, x = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[None]


class Instant:
    """A teacher that takes no time: noisy labels of all tasks, made beforehand."""

    name, license = "instant", "none"
    tasks: tuple[str, ...] = ("depth", "normals", "semseg")
    pitch_deg = (-90.0, 90.0)

    def __init__(self, batch: int, size: int):
        generator = torch.Generator().manual_seed(0)
        smooth = torch.rand(batch, 4, 12, 12, generator=generator)
        maps = F.interpolate(smooth, (size, size), mode="bicubic")
        maps += 0.004 * torch.randn(maps.shape, generator=generator)
        classes = (maps[:, :1] * 17).clamp(0, 17).to(torch.uint8)
        self._labels = TeacherLabels(
            1 + 4 * maps[:, :1].clamp(0), maps[:, 1:] - 0.5, classes, maps[:, 1:2].clamp(0.1, 1)
        )

    def label(self, patches: torch.Tensor, views: Views, panorama: Panorama) -> TeacherLabels:
        """The first of the labels made beforehand."""
        return self._labels


def engine(store: Path, panoramas: int = 4) -> dict[str, float]:
    """Patches a second of one core without the teacher; merging, encoding, writing included."""
    config = LabelConfig()
    labeller = LabelEngine([Instant(config.batch, config.patch_size)], config)
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(1, 3, 64, 128, generator=generator) * 255
    picture = F.interpolate(coarse, (1024, 2048), mode="bilinear")[0].permute(1, 2, 0)
    image = picture.to(torch.uint8).contiguous().numpy()
    meta = {"class_set": config.class_set, "size": config.size, "labels": {}}
    seconds, sizes = [], []
    with StoreWriter(store, meta) as writer:
        for number in range(panoramas):
            start = time.process_time()
            members = encode(labeller.label(Panorama(f"p{number}", image)))
            writer.add(f"p{number}", members)
            seconds.append(time.process_time() - start)
            sizes.append(sum(map(len, members.values())))
        for number in range(panoramas, 64):  # enough to read
            writer.add(f"p{number}", members)
    return {
        "patches_per_second": round(config.patches / min(seconds), 1),
        "megabytes_a_panorama": round(np.mean(sizes).item() / 1e6, 2),
        "megabytes_of_white_noise": round(worst_case() / 1e6, 2),
    }


def worst_case() -> int:
    """Bytes of a panorama whose every map is white noise."""
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(*CANVAS, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    labels = PseudoLabels(
        image=rng.integers(0, 256, (*CANVAS, 3), dtype=np.uint8),
        classes=rng.integers(0, 18, CANVAS, dtype=np.uint8),
        confidence=rng.random(CANVAS, np.float32),
        normals=normals,
        depth=rng.uniform(0.1, 65, CANVAS).astype(np.float32),
        patches=rng.uniform(0.1, 65, (32, 512, 512)).astype(np.float32),
        views=np.zeros((32, 3)),
    )
    return sum(map(len, encode(labels).values()))


def reading(store: Path, samples: int = 64) -> dict[str, float]:
    """Training samples by number of workers: a second, and milliseconds of a core for each.

    The core's share tells on a busy machine, too, whether workers stand in each other's way.
    """
    result = {"megabytes_a_sample": round(_bytes_a_sample(store) / 1e6, 2)}
    for size in (CANVAS, (256, 512)):
        name = f"{size[0]}x{size[1]}"
        for workers in (1, 2, 4):
            jobs = [(str(store), size, n, samples // workers) for n in range(workers)]
            with multiprocessing.get_context("spawn").Pool(workers) as pool:
                pool.starmap(_read, [(*job[:3], 2) for job in jobs], chunksize=1)
                start = time.perf_counter()
                seconds = pool.starmap(_read, jobs, chunksize=1)
                rate = samples / (time.perf_counter() - start)
            result[f"{name}_{workers}_workers_per_second"] = round(rate, 1)
            result[f"{name}_{workers}_workers_core_ms"] = round(1000 * sum(seconds) / samples, 1)
    return result


def _bytes_a_sample(store: Path) -> float:
    """Mean size of what `PseudoLabelled.draw` reads of a panorama."""
    frames = Store(store)
    kinds = ("jpg", "classes", "confidence", "normals", "json", "patch00")
    return np.mean([sum(map(len, frames.read(n, kinds).values())) for n in range(8)]).item()


def _read(store: str, size: tuple[int, int], seed: int, count: int) -> float:
    """Seconds of a core that `count` samples took."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    dataset, rng = PseudoLabelled(store, size), np.random.default_rng(seed)
    start = time.process_time()
    for _ in range(count):
        dataset.draw(int(rng.integers(len(dataset))), rng)
    return time.process_time() - start


def quality(rooms: Path, folder: Path) -> dict[str, Any]:
    """label_quality.json of the oracle on 20 rooms, without and with a scale that drifts."""
    result = {}
    for drift in (0.0, 0.2):
        out = folder / f"drift{drift}"
        arguments = label.Args(
            teacher=("oracle",),
            out=out,
            data="rooms",
            root=rooms,
            limit=20,
            teacher_scale_drift=drift,
        )
        label.run(arguments)
        result[f"drift_{drift}"] = json.loads((out / "label_quality.json").read_text())
    return result


if __name__ == "__main__":
    main(tyro.cli(Args))
