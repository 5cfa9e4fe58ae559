"""The training loop, to be read from top to bottom."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

from mtpano_model.classes import IGNORE
from mtpano_model.data.sample import Batch, PanoramaDataset
from mtpano_model.errors import MtpanoError
from mtpano_model.network import PDBridgeNet, preset
from mtpano_model.network.backbones.pretrained import load_imagenet_weights
from mtpano_model.network.pretrained import load_exactly, read_tensors
from mtpano_model.training.checkpoint import (
    best_weights,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from mtpano_model.training.config import OptimizerConfig, Stage, TrainConfig
from mtpano_model.training.ema import WeightAverage
from mtpano_model.training.losses import multi_task_loss, with_point_map
from mtpano_model.training.stream import StreamSampler, training_batches
from mtpano_model.training.validation import validate

logger = logging.getLogger(__name__)

# (height, width) -> the frames of a split at that size.
Frames = Callable[[tuple[int, int]], PanoramaDataset]


@dataclass(frozen=True)
class TrainingData:
    """Training and validation frames, each at any size."""

    train: Frames
    val: Frames


def train(
    config: TrainConfig,
    data: TrainingData,
    out: Path,
    *,
    init: Path | None = None,
    resume: bool = False,
) -> dict[str, float]:
    """Train, and return the last validation's metrics.

    out: folder of the run: checkpoints/, metrics.jsonl, config.json.
    init: weights to start from (a run, a checkpoint or a safetensors file).
    resume: go on from the newest checkpoint of `out`, with exactly the losses of a run that was
        never interrupted; starts afresh where there is none.
    """
    fabric = Fabric(devices=1, precision=config.precision)
    torch.manual_seed(config.seed)
    # Channels last is a third faster on CPUs and suits tensor cores.
    net = _build_network(config, init).to(memory_format=torch.channels_last)
    optimizer = build_optimizer(net, config.optimizer)
    model, optimizer = fabric.setup(net, optimizer)
    average = WeightAverage(net, config.optimizer.ema) if config.optimizer.ema else None

    checkpoint = latest_checkpoint(out)
    if checkpoint is not None and not resume:
        raise MtpanoError(f"{out} already holds a run: give --resume, or another --out")
    done = 0
    if checkpoint is not None:
        done = load_checkpoint(checkpoint, net, average, optimizer, config)
        logger.info("resuming %s after %d of %d steps", out, done, config.total_steps)
    out.mkdir(parents=True, exist_ok=True)
    log = _Log(out / "metrics.jsonl")
    class_weights = _class_weights(config, data, net.config.num_classes, fabric.device)
    saved_at = time.monotonic()
    metrics: dict[str, float] = {}

    with _progress() as progress:
        bar = progress.add_task("training", total=config.total_steps, completed=done, note="")
        for stage, first_step, first_position in _remaining(config, done):
            frames, held_out = (f((stage.height, stage.width)) for f in (data.train, data.val))
            steps = range(first_step, first_step + stage.steps)
            skipped = max(done - first_step, 0)
            sampler = StreamSampler(
                len(frames),
                stage.batch,
                (stage.steps - skipped) * config.accumulate,
                seed=config.seed,
                first=first_position + skipped * stage.batch * config.accumulate,
            )
            batches = iter(training_batches(frames, config.augment, sampler, config.workers))

            for step in steps[skipped:]:
                started = time.monotonic()
                torch.manual_seed(config.seed * 1_000_003 + step)  # dropout, for exact resume
                set_learning_rate(optimizer, config.optimizer, step, config.total_steps)
                optimizer.zero_grad(set_to_none=True)
                terms: dict[str, float] = {}
                waited = 0.0
                for _ in range(config.accumulate):
                    asked = time.monotonic()
                    batch = with_point_map(next(batches).to(fabric.device))
                    waited += time.monotonic() - asked
                    losses = multi_task_loss(
                        model(batch.image.float().contiguous(memory_format=torch.channels_last)),
                        batch,
                        config.losses,
                        class_weights=class_weights,
                        clamp=step >= config.optimizer.warmup,
                    )
                    fabric.backward(losses["total"] / config.accumulate)
                    _add(terms, losses, config.accumulate)
                    _stop_unless_finite(losses, batch, step, out)
                norm = torch.nn.utils.clip_grad_norm_(net.parameters(), config.optimizer.clip)
                optimizer.step()
                if average is not None:
                    average.update(net, step)

                finished = step + 1
                progress.update(bar, completed=finished, note=f"loss {terms['total']:.3f}")
                if finished % config.log_every == 0:
                    log.write(
                        step=finished,
                        **terms,
                        gradient=float(norm),
                        lr=optimizer.param_groups[0]["lr"],
                        seconds=time.monotonic() - started,
                        waited=waited,
                    )
                last = finished == config.total_steps
                if finished % config.eval_every == 0 or step == steps[-1]:
                    metrics = _validate_average(net, average, held_out, fabric.device, stage)
                    log.write(step=finished, **{f"val.{k}": v for k, v in metrics.items()})
                    logger.info("step %d: %s", finished, _short(metrics))
                if last or time.monotonic() - saved_at > 60 * config.checkpoint_minutes:
                    facts = {"training": config.preset, "metrics": metrics}
                    save_checkpoint(out, finished, net, average, optimizer, config, facts)
                    saved_at = time.monotonic()
    return metrics


# --- before the loop -----------------------------------------------------------------------------


def _build_network(config: TrainConfig, init: Path | None) -> PDBridgeNet:
    net = PDBridgeNet(preset(config.network))
    if init is not None:
        load_exactly(net, read_tensors(best_weights(init)), str(init))
    elif net.config.backbone.kind == "efficientnet_lite":
        load_imagenet_weights(net.backbone, net.config.backbone.variant)  # type: ignore[arg-type]
    return net.train()


def build_optimizer(net: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Four groups: (backbone, rest) x (weights that decay, biases and norms that do not)."""
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in net.named_parameters():
        key = name.startswith("backbone."), parameter.ndim > 1
        groups.setdefault(key, []).append(parameter)
    kind = torch.optim.Adam if config.kind == "adam" else torch.optim.AdamW
    return kind(
        [
            {
                "params": parameters,
                "peak": config.backbone_lr if in_backbone else config.lr,
                "weight_decay": config.weight_decay if decays else 0.0,
            }
            for (in_backbone, decays), parameters in groups.items()
        ],
        lr=config.lr,
    )


def set_learning_rate(
    optimizer: torch.optim.Optimizer, config: OptimizerConfig, step: int, total: int
) -> None:
    """Linear rise over `warmup` steps, then the schedule, for every group's own peak."""
    if step < config.warmup:
        factor = (step + 1) / config.warmup
    else:
        progress = (step - config.warmup) / max(total - config.warmup, 1)
        if config.schedule == "poly":
            factor = (1 - progress) ** config.power
        else:
            factor = 0.5 * (1 + math.cos(math.pi * progress))
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def balanced_class_weights(frames: PanoramaDataset, num_classes: int, exponent: float) -> Tensor:
    """Weights ~ frequency^-exponent, scaled to a mean of 1 over pixels; absent classes get 1."""
    counts = np.zeros(256, np.int64)
    for index in range(len(frames)):
        counts += np.bincount(frames[index].semseg.flatten().numpy(), minlength=256)
    share = counts[:num_classes] / max(counts[:IGNORE].sum(), 1)
    weights = np.where(share > 0, np.maximum(share, 1e-4) ** -exponent, 0)
    weights /= max((share * weights).sum(), 1e-9)
    return torch.from_numpy(np.where(share > 0, weights, 1)).float()


def _class_weights(
    config: TrainConfig, data: TrainingData, num_classes: int, device: torch.device
) -> Tensor | None:
    """Counted at the first stage's size, whichever stage a run resumes in."""
    if not config.losses.class_balance:
        return None
    first = config.stages[0]
    frames = data.train((first.height, first.width))
    return balanced_class_weights(frames, num_classes, config.losses.class_balance).to(device)


def _remaining(config: TrainConfig, done: int) -> Iterator[tuple[Stage, int, int]]:
    """Stages not yet finished, with their first step and first position in the data stream."""
    step = position = 0
    for stage in config.stages:
        if step + stage.steps > done:
            yield stage, step, position
        step += stage.steps
        position += stage.steps * stage.batch * config.accumulate


# --- inside the loop -----------------------------------------------------------------------------


def _add(terms: dict[str, float], losses: dict[str, Tensor], parts: int) -> None:
    for name, loss in losses.items():
        terms[name] = terms.get(name, 0.0) + loss.item() / parts


def _stop_unless_finite(losses: dict[str, Tensor], batch: Batch, step: int, out: Path) -> None:
    """A NaN is never trained on: say which term and which frames, and stop."""
    bad = [name for name, loss in losses.items() if not torch.isfinite(loss)]
    if bad:
        report = out / "not_finite.json"
        report.write_text(json.dumps({"step": step, "terms": bad, "names": batch.names}))
        raise MtpanoError(
            f"the losses {', '.join(bad)} are not finite at step {step}: look at the frames named "
            f"in {report}, or lower the learning rate and --resume"
        )


def _validate_average(
    net: PDBridgeNet,
    average: WeightAverage | None,
    frames: PanoramaDataset,
    device: torch.device,
    stage: Stage,
) -> dict[str, float]:
    if average is None:
        return validate(net, frames, device, stage.batch)
    own = {name: x.detach().clone() for name, x in net.state_dict().items()}
    net.load_state_dict(average.state)
    try:
        return validate(net, frames, device, stage.batch)
    finally:
        net.load_state_dict(own)


class _Log:
    """One JSON object a line, whole lines only."""

    def __init__(self, path: Path):
        self.path = path

    def write(self, **values: float) -> None:
        rounded = {k: v if isinstance(v, int) else round(v, 6) for k, v in values.items()}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rounded) + "\n")


def _short(metrics: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
