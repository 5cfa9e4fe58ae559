"""What cutting the labelling into tasks costs, with a teacher that costs nothing.

    python -m benchmarks.label_tasks --panoramas 1000 --on local:1

Labels the same panoramas in one process and on an engine, in turns, and prints the processor time
of each (children included) and the share that the tasks add.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from mtpano_model.commands import main as mtpano
from mtpano_model.labels import opening


class Null:
    """A wall 2 m ahead, whatever there is."""

    name = "null"
    tasks = ("depth", "normals")
    pitch_deg = (-90.0, 90.0)
    license = "none"

    def label(self, patches, views, panorama):
        import torch  # here, as in the real teachers: who hands out the tasks loads none

        from mtpano_model.labels.teacher import TeacherLabels

        depth = torch.full((len(patches), 1, *views.size), 2.0)
        normals = torch.zeros(len(patches), 3, *views.size)
        normals[:, 2] = -1
        return TeacherLabels(depth=depth, normals=normals)


opening.open_teacher = lambda *_: Null()  # in the driver, and in the workers that import this


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--panoramas", type=int, default=1000)
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--patches", type=int, default=16)
    parser.add_argument("--patch-size", type=int, default=256)
    parser.add_argument("--on", default="local:1")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--label", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.label:
        sys.exit(mtpano(["label", *args.label]))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_panoramas(root / "panos", args.panoramas)
        for number in range(args.rounds):
            alone = measured(args, root, f"alone{number}")
            tasks = measured(args, root, f"tasks{number}", "--on", args.on)
            print(
                f"one process {alone[0]:.1f} s of processor ({alone[1]:.1f} s), {args.on} "
                f"{tasks[0]:.1f} s ({tasks[1]:.1f} s): {100 * (tasks[0] / alone[0] - 1):+.1f} %",
                flush=True,
            )


def write_panoramas(root: Path, count: int) -> None:
    """JPEG files of noise that is smooth, as pictures are."""
    root.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = rng.integers(0, 255, (8, 16, 3), np.uint8)
        cv2.imwrite(str(root / f"{number:06d}.jpg"), cv2.resize(coarse, (512, 256)))


def measured(args: argparse.Namespace, root: Path, store: str, *where: str) -> tuple[float, float]:
    """Seconds of processor time, and of the clock."""
    command = [
        sys.executable, "-m", "benchmarks.label_tasks", "--label",
        "--input", str(root / "panos"), "--out", str(root / store), "--teacher", "null",
        "--height", str(args.height), "--patches", str(args.patches),
        "--patch-size", str(args.patch_size), *where,
    ]  # fmt: skip
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, time.monotonic() - start


if __name__ == "__main__":
    main()
