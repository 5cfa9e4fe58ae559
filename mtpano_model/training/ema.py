"""The moving average of a network's weights, which validation and export use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of weights and normalisation statistics.

    The decay rises from 0 as (1 + n) / (10 + n), so that the first, bad weights are forgotten.
    """

    def __init__(self, net: nn.Module, decay: float):
        self.decay = decay
        self.state = {name: x.detach().clone() for name, x in net.state_dict().items()}

    @torch.no_grad()
    def update(self, net: nn.Module, step: int) -> None:
        """Move towards the network's weights after optimizer step `step` (0-based)."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        averaged: list[Tensor] = []
        current: list[Tensor] = []
        for name, x in net.state_dict().items():
            if x.is_floating_point():
                averaged.append(self.state[name])
                current.append(x)
            else:
                self.state[name].copy_(x)
        torch._foreach_lerp_(averaged, current, share)

    @contextmanager
    def inside(self, net: nn.Module) -> Iterator[None]:
        """Within the context, the network has its averaged weights."""
        own = {name: x.detach().clone() for name, x in net.state_dict().items()}
        net.load_state_dict(self.state)
        try:
            yield
        finally:
            net.load_state_dict(own)
