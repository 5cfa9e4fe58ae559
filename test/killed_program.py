"""What `test_training_killed` runs: the preset pretrain_label_free, tiny, that may be killed.

killed_program.py STORE ACCUMULATE [STRATEGY=RUN ...]: each run is begun or resumed, and trained to
its end. KILL="1@3" in the environment: rank 1 is killed by SIGKILL in the step after the third;
KILL="all@3": every rank is, and whoever launched them.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch
from golden import golden_config

from mtpano_model.data.sources import open_frames
from mtpano_model.training import loop
from mtpano_model.training.config import ParallelConfig, Stage, TrainConfig
from mtpano_model.training.stream import TrainingData

STEPS = 6


def config_of(strategy: str, accumulate: int) -> TrainConfig:
    return replace(
        golden_config("pretrain_label_free"),
        stages=(Stage(32, 64, 2, 2, learn="heads"), Stage(32, 64, STEPS - 2, 2)),
        parallel=ParallelConfig(accelerator="cpu", strategy=strategy),  # type: ignore[arg-type]
        checkpoint_minutes=0.0,
        accumulate=accumulate,
        pictures=0,
    )


def data_of(store: Path) -> TrainingData:
    return TrainingData(
        train=lambda size: open_frames("store", store, "train", size, "indoor18"),
        val=lambda size: open_frames("store", store, "val", size, "indoor18"),
    )


def be_killed(who: str, after: int) -> None:
    rank, checked = os.environ.get("RANK", "0"), loop.check_losses

    def checking(losses, batch, step, *rest):
        if step == after and who in (rank, "all"):
            if who == "all" and rank == "0":
                os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        return checked(losses, batch, step, *rest)

    loop.check_losses = checking


def main(store: str, accumulate: str, *runs: str) -> None:
    torch.set_num_threads(1)
    if "KILL" in os.environ:
        who, _, after = os.environ["KILL"].partition("@")
        be_killed(who, int(after))
    for run in runs:
        strategy, _, out = run.partition("=")
        config = config_of(strategy, int(accumulate))
        loop.train(config, data_of(Path(store)), Path(out), resume=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
