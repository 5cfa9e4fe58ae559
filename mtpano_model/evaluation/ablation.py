"""The ablation: the paper's parts added one by one, the same steps for all, several seeds.

The full network is also trained on fewer rooms, which shows what more rooms would bring.

Every run leaves `runs/VARIANT-seedN/` with its checkpoint and `result.json`; what is finished is
not run again, and an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import torch

from mtpano_model.data.sample import PanoramaDataset
from mtpano_model.data.sources import open_rooms
from mtpano_model.errors import MtpanoError
from mtpano_model.evaluation.data_sets import open_comparison
from mtpano_model.evaluation.predictor import NetworkPredictor
from mtpano_model.evaluation.runner import evaluate
from mtpano_model.metrics.protocols import find_protocol
from mtpano_model.network import PDBridgeNet, PDBridgeNetConfig, preset
from mtpano_model.network.foreign.efficientnet_lite import load_imagenet_weights
from mtpano_model.network.padding import Padding
from mtpano_model.network.pretrained import from_pretrained, save_pretrained
from mtpano_model.stored_files import read_json
from mtpano_model.tasks import MAIN_TASKS
from mtpano_model.training.checkpoint import best_weights, latest_checkpoint
from mtpano_model.training.config import Stage, TrainConfig
from mtpano_model.training.loop import train
from mtpano_model.training.presets import training_preset
from mtpano_model.training.stream import TrainingData
from mtpano_model.whole_files import write_json

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Variant:
    """One network of the study: a title for the table, and what it changes in the preset.

    rooms: share of the training rooms that it sees.
    """

    name: str
    title: str
    changes: dict[str, Any] = field(default_factory=dict)
    rooms: float = 1.0


_BARE = {
    "modulation": False,
    "erp_mixer": False,
    "bridge": False,
    "truncate": False,
    "auxiliary": False,
}
_MIXER = {**_BARE, "modulation": True, "erp_mixer": True}

SINGLE = tuple(
    Variant(f"single_{task.name}", f"Single task: {task.name}", {**_BARE, "tasks": (task.name,)})
    for task in MAIN_TASKS
    if not task.optional
)
PLAIN = Variant("multi_task", "Plain multi-task", _BARE)
MODULATION = Variant("modulation", "+ modulation", {**_BARE, "modulation": True})
MIXER = Variant("erp_mixer", "+ ERP token mixer", _MIXER)
BRIDGE = Variant("bridge", "+ bridge, not truncated", {**_MIXER, "bridge": True})
TRUNCATION = Variant("truncation", "+ truncation", {**_MIXER, "bridge": True, "truncate": True})
FULL = Variant("full", "+ auxiliary tasks: the full network")
ZERO_PADDING = Variant(
    "zero_padding", "Full, zero instead of circular padding", {"padding": Padding("zeros", "zeros")}
)
# The learning curve over rooms; its last point is FULL.
QUARTER = Variant("quarter_of_rooms", "Full, on a quarter of the rooms", rooms=0.25)
HALF = Variant("half_of_rooms", "Full, on half of the rooms", rooms=0.5)
PARTS = (*SINGLE, PLAIN, MODULATION, MIXER, BRIDGE, TRUNCATION, FULL, ZERO_PADDING)
VARIANTS = (*PARTS, QUARTER, HALF)


@dataclass(frozen=True)
class AblationConfig:
    """What all runs share.

    root: folder of a rooms set; a tenth of its rooms is held out and measured. network: preset
    that the variants change. height, width: of the pictures. steps, batch: of every run.
    preset: training recipe. workers: loader processes.
    """

    root: str
    network: str = "small"
    height: int = 128
    width: int = 256
    steps: int = 900
    batch: int = 8
    preset: str = "rooms_small"
    workers: int = 1


@dataclass(frozen=True)
class Result:
    """One finished run. figures: pooled, by task, on the held-out rooms."""

    variant: str
    seed: int
    figures: dict[str, dict[str, float]]
    parameters: int


def run_ablation(
    config: AblationConfig,
    out: Path,
    seeds: Sequence[int] = (0, 1, 2),
    variants: Sequence[Variant] = VARIANTS,
) -> list[Result]:
    """Run what is not finished yet, seed by seed, and return all results."""

    @cache
    def frames(
        split: Literal["train", "val"], size: tuple[int, int], share: float = 1.0
    ) -> PanoramaDataset:
        return open_rooms(config.root, split, size, share=share)

    jobs = [(variant, seed) for seed in seeds for variant in variants]
    results = []
    for number, (variant, seed) in enumerate(jobs, 1):
        run = out / "runs" / f"{variant.name}-seed{seed}"
        result = _finished(run, config)
        if result is None:
            logger.info("run %d of %d: %s, seed %d", number, len(jobs), variant.title, seed)
            data = TrainingData(
                train=partial(frames, "train", share=variant.rooms), val=partial(frames, "val")
            )
            result = _run(variant, seed, config, data, run)
        results.append(result)
    return results


def variant_network(variant: Variant, config: AblationConfig) -> PDBridgeNetConfig:
    """The network of a variant."""
    size = (config.height, config.width)
    return preset(config.network, name=variant.name, image_size=size, **variant.changes)


def _finished(run: Path, config: AblationConfig) -> Result | None:
    """The result of a finished run; MtpanoError if it was run with other settings."""
    path = run / "result.json"
    if not path.is_file():
        return None
    remedy = "remove it to measure this run again"
    stored = read_json(path, remedy)
    try:
        before, result = stored["config"], Result(**stored["result"])
        was = {key: before.get(key) for key in asdict(config)}
    except (KeyError, TypeError, AttributeError) as error:
        raise MtpanoError(f"{path} is no result of an ablation ({error}): {remedy}") from error
    free = ("root", "workers")  # a moved data set is the same one
    for key, value in asdict(config).items():
        if key not in free and was[key] != value:
            raise MtpanoError(
                f"{run} was run with {key} = {was[key]}, now it is {value}: use the same settings "
                "or another --out"
            )
    return result


def _run(
    variant: Variant, seed: int, config: AblationConfig, data: TrainingData, run: Path
) -> Result:
    start = run / "start.safetensors"
    if latest_checkpoint(run) is None:  # a checkpoint proves that the start was written in full
        torch.manual_seed(seed)
        save_pretrained(_start(variant_network(variant, config)), start)
    train(_recipe(config, seed), data, run, init=start, resume=True)

    net = from_pretrained(best_weights(run))
    size = (config.height, config.width)
    predictor = NetworkPredictor(net, variant.name, size)
    comparison = open_comparison("rooms", Path(config.root), predictor.classes, "val", size)
    metrics = evaluate(predictor, comparison, find_protocol("rooms")).metrics
    result = Result(
        variant=variant.name,
        seed=seed,
        figures={task.name: metrics[task.name] for task in net.config.main_tasks},
        parameters=sum(p.numel() for p in net.parameters()),
    )
    write_json(run / "result.json", {"config": asdict(config), "result": asdict(result)})
    return result


def _start(config: PDBridgeNetConfig) -> PDBridgeNet:
    net = PDBridgeNet(config)
    if config.backbone.kind == "efficientnet_lite":
        load_imagenet_weights(net.backbone, config.backbone.variant)  # type: ignore[arg-type]
    return net


def _recipe(config: AblationConfig, seed: int) -> TrainConfig:
    recipe = training_preset(config.preset)
    warmup = min(recipe.optimizer.warmup, config.steps // 5)
    return replace(
        recipe,
        network="",  # the start's own
        stages=(Stage(config.height, config.width, config.steps, config.batch),),
        optimizer=replace(recipe.optimizer, warmup=warmup),
        seed=seed,
        workers=config.workers,
        eval_every=config.steps,
        log_every=max(min(recipe.log_every, config.steps // 10), 1),
        pictures=0,
        patience=0,
    )
