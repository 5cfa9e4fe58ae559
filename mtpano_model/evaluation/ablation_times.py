"""Times of the ablation's networks, taken in turns so that other load affects all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from mtpano_model.evaluation.ablation import AblationConfig, Variant, variant_network
from mtpano_model.network import PDBridgeNet
from mtpano_model.training.loop import memory_format, network_input

_ROUNDS = 5


@dataclass(frozen=True)
class Times:
    """Medians, on this machine's processor.

    step_seconds: forward and backward of a batch, without losses and loading.
    picture_milliseconds: one picture's prediction in PyTorch.
    """

    step_seconds: float
    picture_milliseconds: float


def variant_times(config: AblationConfig, variants: Sequence[Variant]) -> dict[str, Times]:
    """Times by variant name; weights are random, no time depends on them."""
    layout = memory_format(torch.device("cpu"))
    nets = [PDBridgeNet(variant_network(variant, config)) for variant in variants]
    for net in nets:
        net.to(memory_format=layout)  # type: ignore[call-overload]
    shape = (config.batch, 3, config.height, config.width)
    batch = network_input(torch.randint(0, 256, shape, dtype=torch.uint8), layout)
    steps: list[list[float]] = [[] for _ in nets]
    pictures: list[list[float]] = [[] for _ in nets]
    for _ in range(_ROUNDS + 1):  # the first warms up
        for i, net in enumerate(nets):
            steps[i].append(_seconds(partial(_step, net.train(), batch)))
            pictures[i].append(_seconds(partial(_predict, net.eval(), batch[:1])))
    return {
        variant.name: Times(statistics.median(step[1:]), 1e3 * statistics.median(picture[1:]))
        for variant, step, picture in zip(variants, steps, pictures, strict=True)
    }


def _step(net: PDBridgeNet, batch: Tensor) -> None:
    net.zero_grad(set_to_none=True)
    predictions = net(batch)
    maps = [*predictions.final.values(), *predictions.initial.values()]
    maps += predictions.auxiliary.values()
    torch.stack([x.mean() for x in maps]).sum().backward()


@torch.no_grad()
def _predict(net: PDBridgeNet, picture: Tensor) -> None:
    net(picture)


def _seconds(call: Callable[[], None]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
