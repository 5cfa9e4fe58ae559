"""examples/robot_loop.sh: from a robot's bag to a model that the node can load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bag_files import compressed, write_bag
from networks import seeded, tiny

from mtpano_model.inference import load_estimator
from mtpano_model.network.pretrained import save_pretrained

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "examples" / "robot_loop.sh"


def _commands(folder: Path) -> str:
    """A PATH whose `mtpano` is this checkout's, under this Python."""
    folder.mkdir()
    script = folder / "mtpano"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mtpano_model "$@"\n')
    script.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.slow
def test_a_bag_becomes_a_model(tmp_path):
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 255, (64, 128, 3), np.uint8) for _ in range(12)]
    bag = write_bag(
        tmp_path / "bag", {"/camera/image/compressed": [compressed(p) for p in pictures]}
    )
    checkpoint = tmp_path / "start.safetensors"
    save_pretrained(seeded(tiny("nano")), checkpoint)
    environment = os.environ | {
        "PATH": _commands(tmp_path / "bin"),
        "PYTHONPATH": str(ROOT),
        "INIT": str(checkpoint),
        "LABEL": "--height 64 --patches 4 --patch-size 32",
        "TRAIN": "--size 64x128 --steps 3 --batch 2 --workers 0",
    }
    arguments = [bag, tmp_path / "out", f"pd-bridgenet:{checkpoint}"]
    for _ in range(2):  # the second run finds all three steps done
        done = subprocess.run(
            ["bash", SCRIPT, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=280,
        )
        assert done.returncode == 0, done.stderr
    assert f"model:={(tmp_path / 'out' / 'model.onnx').resolve()}" in done.stdout
    for when in ("before", "after"):
        metrics = json.loads((tmp_path / "out/agreement" / when / "metrics.json").read_text())
        assert metrics["about"]["frames"] == 1  # the last tenth of twelve
    assert "last tenth, after training" in done.stdout
    with load_estimator(tmp_path / "out" / "model.onnx", threads=1) as estimator:
        frame = estimator.predict(pictures[0])
    assert np.isfinite(frame.depth).all()


@pytest.mark.parametrize(
    ("also", "expected"),
    [
        (None, ["--also", "rooms:0.3:{worlds}"]),
        ("", []),
        ("rooms:0.2:a store:0.1:b", ["--also", "rooms:0.2:a", "store:0.1:b"]),
    ],
)
def test_worlds_are_mixed_in_unless_something_else_is_asked_for(also, expected, tmp_path):
    checkout = tmp_path / "a folder with spaces"
    worlds = checkout / "worlds"
    worlds.mkdir(parents=True)
    (checkout / SCRIPT.name).write_text(SCRIPT.read_text())
    told = tmp_path / "told"
    stand_in = tmp_path / "bin" / "mtpano"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" -- >>"{told}"\n')
    stand_in.chmod(0o755)
    given = {} if also is None else {"ALSO": also}
    environment = {k: v for k, v in os.environ.items() if k not in ("ALSO", "TRAIN")} | given
    environment["PATH"] = f"{stand_in.parent}{os.pathsep}{environment['PATH']}"
    words = ["bash", checkout / SCRIPT.name, tmp_path / "bag", tmp_path]
    subprocess.run(words, env=environment, check=True, capture_output=True)
    trained = told.read_text().split("\n--\n")[1].split("\n")
    assert trained[0] == "train"
    assert trained[trained.index("--resume") + 1 :] == [
        word.format(worlds=worlds.resolve()) for word in expected
    ]


def test_without_arguments_it_says_how_to_use_it():
    done = subprocess.run(["bash", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 2
    assert "robot_loop.sh BAG OUT" in done.stderr
