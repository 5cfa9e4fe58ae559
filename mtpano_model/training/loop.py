"""The training loop, in one function that can be read from top to bottom."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning_fabric import Fabric
from torch import Tensor

from mtpano_model.errors import MtpanoError, writing
from mtpano_model.memory import keep_freed_memory
from mtpano_model.settings import plain
from mtpano_model.training.checkpoint import RunState, latest_checkpoint
from mtpano_model.training.class_balance import class_weights_of
from mtpano_model.training.config import Stage, TrainConfig
from mtpano_model.training.ema import WeightAverage
from mtpano_model.training.finite import check_losses, check_norm
from mtpano_model.training.journal import Journal
from mtpano_model.training.masking import ReduceCount, one_process
from mtpano_model.training.multi_task import multi_task_loss, with_point_map
from mtpano_model.training.optimizer import (
    build_optimizer,
    freeze,
    set_learning,
    set_learning_rate,
)
from mtpano_model.training.origin import origin_of
from mtpano_model.training.processes import start_fabric
from mtpano_model.training.read_back import Progress
from mtpano_model.training.self_labels import SelfLabels
from mtpano_model.training.starting_point import licence_of, starting_network
from mtpano_model.training.stream import TrainingData, stage_batches
from mtpano_model.training.validation import Metrics, score, validate

logger = logging.getLogger(__name__)


def train(
    config: TrainConfig,
    data: TrainingData,
    out: Path,
    *,
    init: Path | None = None,
    resume: bool = False,
) -> Metrics:
    """Train, and return the last validation's metrics.

    out: folder of the run: checkpoints/, metrics.jsonl, tensorboard/, config.yaml.
    init: weights to start from ("default", a run, a checkpoint folder or a safetensors file).
    resume: go on from the newest checkpoint of `out`, with exactly the losses of a run that was
        never interrupted. Without a checkpoint the run starts at step 0; a run that has ended does
        nothing and returns no metrics.
    """
    checkpoint = latest_checkpoint(out)
    if checkpoint is not None and not resume:
        raise MtpanoError(f"{out} already holds a run: give --resume, or another --out")

    # --- the network and what moves it -----------------------------------------------------------
    keep_freed_memory()
    fabric = start_fabric(config)
    torch.manual_seed(config.seed)
    net = starting_network(config, init)
    freeze(net, config.freeze, config.stages)
    licence = licence_of(config, init, checkpoint)
    layout = memory_format(fabric.device)
    net.to(memory_format=layout)  # type: ignore[call-overload]
    self_labels = SelfLabels(net, fabric.device) if config.keep_unlabelled else None
    model = fabric.setup_module(net)
    own_optimizer = build_optimizer(net, config.optimizer)
    optimizer: Any = fabric.setup_optimizers(own_optimizer)
    average = WeightAverage(net, config.optimizer.ema) if config.optimizer.ema else None
    progress = Progress(world=fabric.world_size)
    origin = origin_of(config, data, init)
    state = RunState(net, average, own_optimizer, progress, origin, main=fabric.is_global_zero)
    if checkpoint is not None:
        state.load(checkpoint, config)
        logger.info("resuming %s after %d of %d steps", out, progress.step, config.total_steps)
        if progress.stopped:
            logger.info("the run has stopped early, so nothing is left to do")
    with writing(out, "give an --out where you may write"):
        out.mkdir(parents=True, exist_ok=True)
        if fabric.is_global_zero:
            (out / "config.yaml").write_text(_told(config, data, init), encoding="utf-8")

    class_weights = class_weights_of(config, data, net.config.num_classes, fabric.device)
    count = _count_of(fabric)
    saved_at = time.monotonic()
    starved = 0  # logged steps in a row that mostly waited
    metrics: Metrics = {}

    with Journal(out, progress.step, config.total_steps, quiet=not fabric.is_global_zero) as log:
        for stage, first_step, first_frame in _remaining(config, progress):
            held_out = data.val((stage.height, stage.width))
            batches = stage_batches(
                config,
                data,
                stage,
                done=progress.step - first_step,
                first=first_frame,
                rank=fabric.global_rank,
                world=fabric.world_size,
                pin_memory=fabric.device.type == "cuda",
            )
            resting = set_learning(net, stage, freeze_norm=config.freeze_norm)

            for step in range(progress.step, first_step + stage.steps):
                # --- one step --------------------------------------------------------------------
                started, waited = time.monotonic(), 0.0
                torch.manual_seed(config.seed * 1_000_003 + step + fabric.global_rank)  # dropout
                main_step = step - config.head_steps
                if main_step == 0:
                    own_optimizer.state.clear()  # the heads' warm-up had an Adam of its own
                set_learning_rate(
                    own_optimizer,
                    config.optimizer,
                    main_step,
                    config.total_steps - config.head_steps,
                )
                optimizer.zero_grad(set_to_none=True)
                terms: dict[str, float] = {}
                frames: list[str] = []
                for part in range(config.accumulate):
                    asked = time.monotonic()
                    batch = next(batches).to(fabric.device)
                    waited += time.monotonic() - asked
                    frames += batch.names
                    if self_labels is not None:
                        batch = self_labels.fill(batch)
                    batch = with_point_map(batch)
                    unfinished = part + 1 < config.accumulate
                    with fabric.no_backward_sync(model, enabled=unfinished):
                        losses = multi_task_loss(
                            model(network_input(batch.image, layout)),
                            batch,
                            config.losses,
                            class_weights=class_weights,
                            clamp=main_step >= config.optimizer.warmup,
                            reduce_count=count,
                        )
                        fabric.backward(losses["total"] / config.accumulate)
                    _add(terms, check_losses(losses, batch, step, out, fabric), config.accumulate)
                for parameter in resting:
                    parameter.grad = None
                norm = fabric.clip_gradients(
                    model, optimizer, max_norm=config.optimizer.clip, error_if_nonfinite=False
                )
                gradient = check_norm(norm, frames, step, out, fabric)
                optimizer.step()
                if average is not None:
                    average.update(net, step)
                progress.step = step + 1

                # --- what is told and kept -------------------------------------------------------
                log.advance(progress.step, terms["total"])
                if progress.step % config.log_every == 0:
                    facts = {
                        "gradient": gradient,
                        "lr": own_optimizer.param_groups[0]["lr"],
                        "seconds": time.monotonic() - started,
                        "waited": waited,
                    }
                    log.write(progress.step, {**terms, **facts})
                    starved = starved + 1 if facts["waited"] > facts["seconds"] / 2 else 0
                    if starved == 3 and fabric.is_global_zero:
                        logger.warning(
                            "more than half of every step is spent waiting for panoramas: give "
                            "more --workers than %d",
                            config.workers,
                        )
                stage_ends = progress.step == first_step + stage.steps
                if progress.step % config.eval_every == 0 or stage_ends:
                    with average.inside(net) if average else nullcontext():
                        metrics = validate(
                            net,
                            held_out,
                            fabric.device,
                            protocol=config.data,
                            batch=stage.batch,
                            limit=config.eval_frames,
                        )
                        log.draw(progress.step, net, held_out, config.pictures)
                    # Normalisation statistics are each process's own; all have to judge alike.
                    metrics = fabric.broadcast(metrics)
                    log.write(progress.step, {f"val.{k}": v for k, v in metrics.items()})
                    logger.info("step %d: %s", progress.step, _short(metrics))
                    last_stage = first_step + stage.steps == config.total_steps
                    if config.patience and last_stage:
                        _note_score(progress, metrics, config.patience)
                        if progress.stale == 0:
                            state.save_best(out, _facts(config, metrics, licence))
                due = time.monotonic() - saved_at > 60 * config.checkpoint_minutes
                if progress.stopped or fabric.broadcast(due) or progress.step == config.total_steps:
                    state.save(out, config, _facts(config, metrics, licence))
                    saved_at = time.monotonic()
                if progress.stopped:
                    logger.info(
                        "%d validations in a row were no better than the best: training stops",
                        config.patience,
                    )
                    return metrics
    return metrics


# --- before the loop -----------------------------------------------------------------------------


def memory_format(device: torch.device) -> torch.memory_format:
    """Channels last is a third faster on CPUs.

    On an H200 `small` was a sixth slower with it, in float32, and a tenth in bfloat16.
    """
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format


def _told(config: TrainConfig, data: TrainingData, init: Path | None) -> str:
    """Text of config.yaml: the configuration, below a comment with the flags that are not in it."""
    flags = shlex.join([*data.flags, *(() if init is None else ("--init", str(init)))])
    return f"# {flags}\n{yaml.safe_dump(plain(config), sort_keys=False)}"


def _remaining(config: TrainConfig, progress: Progress) -> Iterator[tuple[Stage, int, int]]:
    """Stages not yet finished, with their first step and first frame in the data stream."""
    if progress.stopped:
        return
    step = frame = 0
    for stage in config.stages:
        if step + stage.steps > progress.step:
            yield stage, step, frame
        step += stage.steps
        frame += stage.steps * stage.batch * config.accumulate * progress.world


def _count_of(fabric: Fabric) -> ReduceCount:
    """The `reduce_count` of a run: the mean of a number of valid pixels over all processes."""
    if fabric.world_size == 1:
        return one_process
    return partial(fabric.all_reduce, reduce_op="mean")  # type: ignore[return-value]


# --- inside the loop -----------------------------------------------------------------------------


def network_input(image: Tensor, layout: torch.memory_format) -> Tensor:
    """uint8 [B, 3, H, W] -> float in the memory format that the network has."""
    return image.float().contiguous(memory_format=layout)


def _add(terms: dict[str, float], losses: dict[str, float], parts: int) -> None:
    for name, loss in losses.items():
        terms[name] = terms.get(name, 0.0) + loss / parts


def _note_score(progress: Progress, metrics: Metrics, patience: int) -> None:
    """Note whether the score is the best so far; `patience` validations without a better one end
    the run."""
    now = score(metrics)
    if now > progress.best:
        progress.best, progress.stale = now, 0
    else:
        progress.stale += 1
    progress.stopped = progress.stale >= patience


def _facts(config: TrainConfig, metrics: Metrics, licence: dict[str, str]) -> dict[str, object]:
    return {"training": config.preset, "data": config.data, "metrics": metrics, **licence}


def _short(metrics: Metrics) -> str:
    shown = ("depth.abs_rel", "depth.delta1", "normals.mean_deg", "semseg.miou")
    return "  ".join(f"{name} {metrics[name]:.4f}" for name in shown if name in metrics)
