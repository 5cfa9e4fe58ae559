"""The losses of 20 steps of every training preset at tiny width, and the file that keeps them.

    python test/golden.py      # from the checkout, after a change that was meant to change training

writes test/golden_losses.json anew; `test_training_golden` compares with it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from box_rooms import box_data
from networks import tiny

from mtpano_model.network.config import PRESETS as NETWORKS
from mtpano_model.training.config import ParallelConfig, Stage, TrainConfig
from mtpano_model.training.loop import train
from mtpano_model.training.presets import PRESETS, training_preset

FILE = Path(__file__).with_name("golden_losses.json")
STEPS = 20


def golden_config(name: str) -> TrainConfig:
    """The preset with a tiny network of its kind, small pictures and the data of `box_rooms`."""
    config = training_preset(name)
    kind = "base" if name.startswith("pretrain") else "nano"
    NETWORKS[f"golden_{kind}"] = tiny(kind)
    return replace(
        config,
        network=f"golden_{kind}",
        backbone_weights="",
        stages=(Stage(32, 64, 4, 2, learn="heads"), Stage(32, 64, STEPS - 4, 2)),
        precision="32-true",
        parallel=ParallelConfig(accelerator="cpu"),
        workers=0,
        eval_every=1000,
        log_every=1,
        patience=0,
    )


def golden_losses(name: str) -> list[float]:
    """The total loss of each step."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        train(golden_config(name), box_data(), Path(folder))
        lines = map(json.loads, (Path(folder) / "metrics.jsonl").read_text().splitlines())
        return [line["total"] for line in lines if "total" in line]


if __name__ == "__main__":
    losses = {name: golden_losses(name) for name in PRESETS}
    FILE.write_text(json.dumps(losses, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{FILE}: {len(losses)} presets\n")
