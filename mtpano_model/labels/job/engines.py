"""The engines that run the tasks of a labelling job: this machine, SLURM or Ray."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mtpano_model.errors import MtpanoError

if TYPE_CHECKING:
    from mtpano_model.labels.job.job import Engine

_MOST = 100_000
_SLURM_ELEMENTS = 16


def check_engine(spec: str) -> tuple[str, int | None]:
    """Name and number of workers of `--on`; MtpanoError if it does not name an engine."""
    name, colon, text = spec.partition(":")
    if name not in ("local", "slurm", "ray"):
        raise MtpanoError(f"unknown engine '{spec}': expected local:N, slurm:N or ray")
    if colon and not (re.fullmatch("[0-9]{1,9}", text) and 1 <= int(text) <= _MOST):
        raise MtpanoError(
            f"engine '{spec}': expected a number of workers from 1 to {_MOST}, such as {name}:4"
        )
    return name, int(text) if colon else None


def open_engine(spec: str, command: Sequence[str]) -> Engine:
    """The engine of `--on`: local, slurm or ray, or with a number of workers, such as local:4.

    Without a number, local starts one worker per CPU, slurm 16, and ray as many as fit on the
    cluster. command: what a SLURM array element runs. MtpanoError for anything else. An engine
    that is not installed raises it only in `run`.
    """
    name, count = check_engine(spec)
    if name == "ray":
        from mtpano_model.labels.job.ray_core import RayEngine

        return RayEngine(count)
    if name == "slurm":
        from mtpano_model.labels.job.slurm import SlurmEngine

        return SlurmEngine(count or _SLURM_ELEMENTS, command)
    from mtpano_model.labels.job.local import LocalEngine

    return LocalEngine(count or os.cpu_count() or 1)
