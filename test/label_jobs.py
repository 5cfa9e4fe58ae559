"""Jobs of labelling in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtpano_model.data.store import Store

HERE = Path(__file__).parent
PROGRAM = [sys.executable, str(HERE / "job_program.py")]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def panoramas(root: Path, count: int, *special: str) -> Path:
    """Panoramas p00.png ..., and those whose names tell the teacher what to do."""
    root.mkdir()
    names = [f"p{n:02d}" for n in range(count)] + list(special)
    for shade, name in enumerate(names):
        cv2.imwrite(str(root / f"{name}.png"), np.full((32, 64, 3), 10 + shade, np.uint8))
    return root


def contents(store: Path) -> dict[str, dict[str, bytes]]:
    """What a store holds, by name."""
    read = Store(store)
    assert len(set(read.names)) == len(read.names), "a panorama was labelled twice"
    return {name: read.read(index) for index, name in enumerate(read.names)}


def run(*arguments: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        capture_output=True, text=True, timeout=timeout, env=ENVIRONMENT,
    )  # fmt: skip


def wait_until(condition, process: subprocess.Popen[str], timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def held(store: Path) -> int:
    return len(Store(store)) if (store / "store.json").exists() else 0


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> tuple[Path, dict[str, dict[str, bytes]]]:
    """Twelve panoramas, and what one process makes of them."""
    root = tmp_path_factory.mktemp("alone")
    folder = panoramas(root / "panos", 12)
    done = run("--input", folder, "--out", root / "store")
    assert done.returncode == 0, done.stderr
    return folder, contents(root / "store")
