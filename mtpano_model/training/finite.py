"""Checks that losses and gradients are finite; otherwise the run stops and names the frames."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.distributed.tensor import DTensor

from mtpano_model.data.sample import Batch
from mtpano_model.errors import MtpanoError


def check_losses(
    losses: dict[str, Tensor], batch: Batch, step: int, out: Path, fabric: Fabric
) -> dict[str, float]:
    """The losses as numbers; MtpanoError if any is not finite, with its frames noted in `out`."""
    values = torch.stack([loss.detach() for loss in losses.values()])
    numbers = dict(zip(losses, values.tolist(), strict=True))
    bad = [name for name, value in numbers.items() if not np.isfinite(value)]
    if bad:
        _report(bad, batch.names, step, out, fabric)
    anywhere = torch.tensor(float(bool(bad)), device=values.device)
    if fabric.world_size > 1:
        anywhere = fabric.all_reduce(anywhere, reduce_op="sum")  # type: ignore[assignment]
    if anywhere:
        where = ", ".join(bad) or "in another process"
        raise MtpanoError(
            f"losses are not finite at step {step} ({where}): look at the frames named in "
            f"{out}/not_finite_*.json, or lower the learning rate and resume"
        )
    return numbers


def check_norm(
    norm: Tensor | None, frames: list[str], step: int, out: Path, fabric: Fabric
) -> float:
    """The gradient's norm, the same in every process; MtpanoError if it is not finite."""
    value = float(norm.full_tensor() if isinstance(norm, DTensor) else norm)  # type: ignore[arg-type]
    if not np.isfinite(value):
        _report(["gradient"], frames, step, out, fabric)
        raise MtpanoError(
            f"the gradient is not finite at step {step}, though the losses are: look at the frames "
            f"named in {out}/not_finite_*.json, or lower the learning rate and resume"
        )
    return value


def _report(bad: list[str], frames: list[str], step: int, out: Path, fabric: Fabric) -> None:
    """Write to the run's folder which values were not finite, and on which frames."""
    report = out / f"not_finite_{fabric.global_rank}.json"
    report.write_text(json.dumps({"step": step, "terms": bad, "names": frames}))
