"""The optimizer, its learning-rate schedule, and which parameters learn in a stage."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtpano_model.errors import MtpanoError, did_you_mean
from mtpano_model.network import PDBridgeNet
from mtpano_model.training.config import OptimizerConfig, Stage

# What a stage that learns "heads" trains: aggregators, initial and auxiliary heads.
_HEADS = ("aggregators.", "heads.")


def build_optimizer(net: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Four groups: (backbone, rest) x (weights that decay, biases and norms that do not).

    Parameters that need no gradient, such as those of frozen parts, are left out.
    """
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in net.named_parameters():
        if not parameter.requires_grad:
            continue
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
    """Linear rise over `warmup` steps, then the schedule, for every group's own peak.

    step and total count the steps in which everything learns; a negative step is one of the heads'.
    """
    for group in optimizer.param_groups:
        group["lr"] = config.heads_lr if step < 0 else group["peak"] * _factor(config, step, total)


def _factor(config: OptimizerConfig, step: int, total: int) -> float:
    if step < config.warmup:
        return (step + 1) / config.warmup
    progress = (step - config.warmup) / max(total - config.warmup, 1)
    if config.schedule == "poly":
        return (1 - progress) ** config.power
    return 0.5 * (1 + math.cos(math.pi * progress))


def freeze(net: PDBridgeNet, parts: Sequence[str], stages: Sequence[Stage]) -> None:
    """Freeze parts of a network for a whole run; call it before the optimizer is built.

    parts: names of the network's children. MtpanoError if one does not exist, or if a stage
    would have nothing to train.
    """
    modules = dict(net.named_children())
    for part in parts:
        if part not in modules:
            raise MtpanoError(f"the network has no part '{part}': {did_you_mean(part, modules)}")
        modules[part].requires_grad_(False)
    rest = [name for name, parameter in net.named_parameters() if parameter.requires_grad]
    for stage in stages:
        if not any(stage.learn == "all" or name.startswith(_HEADS) for name in rest):
            raise MtpanoError(
                f"freeze of {', '.join(parts)} leaves nothing to train in a stage that learns "
                f"{stage.learn}: name fewer parts"
            )


def set_learning(net: PDBridgeNet, stage: Stage, *, freeze_norm: bool) -> list[nn.Parameter]:
    """Freeze the parts that a stage does not train; returns their parameters.

    These parts are in evaluation mode, so that their normalisation statistics stay as they are.
    The caller drops their gradients: `requires_grad` cannot change once a network is sharded.
    """
    net.train(stage.learn == "all")
    for name, module in net.named_modules():
        if f"{name}.".startswith(_HEADS):
            module.train()
        if freeze_norm and isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    for module in net.children():
        parameters = list(module.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            module.eval()
    if stage.learn == "all":
        return []
    return [p for name, p in net.named_parameters() if not name.startswith(_HEADS)]
