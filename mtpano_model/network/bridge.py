"""The gradient-truncated bridge: each stream reads every task, but teaches only its own.

Forward, a stream's aggregate attends to the features of all tasks. Backward, the tokens of tasks
that belong to the other stream are cut off, so that a stream's losses never reach the other
stream's features (arXiv 2602.05330).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtpano_model.network.config import PDBridgeNetConfig
from mtpano_model.network.layers import grid, tokens
from mtpano_model.network.padding import SphereConv2d
from mtpano_model.tasks import TASKS, Stream


class CrossAttention(nn.Module):
    """Multi-head attention of queries [B, N, D] over keys and values [B, M, D].

    Written as matrix products, since the fused operator exports to ONNX's Attention, which the
    TensorRT of JetPack 6 lacks.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, q: Tensor, kv: Tensor) -> Tensor:
        q, k, v = (self._split(x) for x in (self.query(q), self.key(kv), self.value(kv)))
        q = q * q.shape[-1] ** -0.5  # of the queries: there are far fewer of them than of scores
        weights = (q @ k.transpose(-2, -1)).softmax(-1)  # [B, heads, N, M]
        return self.out((weights @ v).transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, heads, N, D / heads]


class Bridge(nn.Module):
    """One stream's bridge: aggregate [B, D, h, w] and all task features -> [B, D, h, w]."""

    def __init__(self, config: PDBridgeNetConfig, stream: Stream):
        super().__init__()
        dim = config.bridge_dim
        self.stream = stream
        self.truncate = config.truncate
        self.detach_before_squeeze = config.detach_before_squeeze
        self.squeeze = nn.ModuleDict(
            {
                task.name: SphereConv2d(dim, dim, 3, stride=2, how=config.padding)
                for task in config.bridge_tasks
            }
        )
        self.norm_query = nn.LayerNorm(dim)
        self.norm_key_value = nn.LayerNorm(dim)
        self.attention = CrossAttention(dim, config.bridge_heads)
        self.norm_mlp = nn.LayerNorm(dim)
        self.mlp_in = nn.Linear(dim, dim * config.bridge_mlp_ratio)
        self.mlp_out = nn.Linear(dim * config.bridge_mlp_ratio, dim)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, aggregate: Tensor, features: dict[str, Tensor]) -> Tensor:
        key_value = torch.cat([self._tokens(name, features[name]) for name in self.squeeze], 1)
        x = tokens(aggregate)  # [B, h w, D]
        x = x + self.attention(self.norm_query(x), self.norm_key_value(key_value))
        x = x + self.mlp_out(F.gelu(self.mlp_in(self.norm_mlp(x))))
        return grid(x, aggregate.shape[-2:])

    def _tokens(self, name: str, feature: Tensor) -> Tensor:
        """One task's tokens [B, h w / 4, D], without gradient if it is the other stream's task."""
        foreign = self.truncate and TASKS[name].stream != self.stream
        if foreign and self.detach_before_squeeze:
            feature = feature.detach()
        squeezed = tokens(self.squeeze[name](feature))
        return squeezed.detach() if foreign and not self.detach_before_squeeze else squeezed
