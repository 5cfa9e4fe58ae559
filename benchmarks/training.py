"""What a training step costs beside a bare one, and how long it waits for its batch.

    python -m benchmarks.training --data-root ../shared/data/rooms

One thread; processor time, which a busy machine disturbs least, and the median by the clock. The
bare step is the same network, losses and optimizer on a batch that lies in memory; the other one is
`mtpano train`'s, with augmentation, moving average, clipping and logging. The loader's own
processes count apart.
"""

from __future__ import annotations

import json
import resource
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
import tyro

from mtpano_model.data.sources import open_frames
from mtpano_model.memory import keep_freed_memory
from mtpano_model.training.class_balance import balanced_class_weights
from mtpano_model.training.config import Stage
from mtpano_model.training.loop import memory_format, network_input, train
from mtpano_model.training.multi_task import multi_task_loss, with_point_map
from mtpano_model.training.optimizer import build_optimizer
from mtpano_model.training.presets import training_preset
from mtpano_model.training.starting_point import starting_network
from mtpano_model.training.stream import TrainingData, stage_batches


@dataclass
class Args:
    """Time training steps."""

    data_root: Path
    """Folder of the rooms."""
    size: tuple[int, int] = (256, 512)
    """Height and width."""
    batch: int = 4
    """Panoramas a step."""
    steps: int = 12
    """Steps that are timed."""
    workers: int = 2
    """Loader processes."""


def main(args: Args) -> None:
    """Print the figures as JSON."""
    torch.set_num_threads(1)
    keep_freed_memory()  # as `train` does
    stage = Stage(*args.size, args.steps, args.batch)
    config = replace(
        training_preset("rooms_small"),
        stages=(stage,),
        workers=args.workers,
        log_every=1,
        eval_every=10**6,
        eval_frames=1,
        pictures=0,
    )

    @cache
    def frames(split: str, size: tuple[int, int]):
        return open_frames("rooms", args.data_root, split, size)  # type: ignore[arg-type]

    data = TrainingData(lambda size: frames("train", size), lambda size: frames("val", size))
    batch = with_point_map(next(iter(stage_batches(replace(config, workers=0), data, stage))))
    net = starting_network(config, None)
    layout = memory_format(torch.device("cpu"))
    net.to(memory_format=layout)  # type: ignore[call-overload]
    optimizer = build_optimizer(net, config.optimizer)
    weights = balanced_class_weights(
        data.sources(args.size), net.config.num_classes, config.losses.class_balance
    )

    def run(steps: int) -> tuple[float, float, float, float]:
        """Processor seconds of training and of its loader, the share of time spent waiting, and
        the median step by the clock."""
        own, children = time.process_time(), _children_seconds()
        with tempfile.TemporaryDirectory() as out:
            train(replace(config, stages=(replace(stage, steps=steps),)), data, Path(out))
            lines = map(json.loads, (Path(out) / "metrics.jsonl").read_text().splitlines())
            timed = [line for line in lines if "total" in line][1:]
        waited = sum(line["waited"] for line in timed) / sum(line["seconds"] for line in timed)
        clock = statistics.median(line["seconds"] for line in timed)
        return time.process_time() - own, _children_seconds() - children, waited, clock

    def bare_step() -> tuple[float, float]:
        """Seconds of the processor, and by the clock."""
        started, began = time.process_time(), time.monotonic()
        optimizer.zero_grad(set_to_none=True)
        predictions = net(network_input(batch.image, layout))
        losses = multi_task_loss(predictions, batch, config.losses, class_weights=weights)
        losses["total"].backward()
        optimizer.step()
        return time.process_time() - started, time.monotonic() - began

    bare, bare_clock = zip(*(bare_step() for _ in range(args.steps + 2)), strict=True)
    bare_cpu = statistics.mean(sorted(bare)[: args.steps // 2])
    short, long = (run(steps) for steps in (2, 2 + args.steps))
    whole, loader = ((b - a) / args.steps for a, b in zip(short[:2], long[:2], strict=True))
    figures = {
        "bare_step_cpu_s": bare_cpu,
        "training_step_cpu_s": whole,
        "ratio": whole / bare_cpu,
        "bare_step_clock_s": statistics.median(bare_clock),
        "training_step_clock_s": long[3],
        "loader_cpu_s": loader,
        "waiting_share": long[2],
    }
    print(json.dumps({k: round(v, 4) for k, v in figures.items()}, indent=1))


def _children_seconds() -> float:
    """Processor time of the loader's processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(tyro.cli(Args))
