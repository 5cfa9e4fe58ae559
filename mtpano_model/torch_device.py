"""Where torch computes: what a command's --device and --threads mean."""

from __future__ import annotations

import torch

from mtpano_model.errors import MtpanoError


def torch_device(wanted: str) -> str:
    """cpu, cuda or cuda:N as it stands; auto takes a GPU if there is one.

    MtpanoError for what torch does not have here.
    """
    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    known = ["cuda", *gpus, "cpu"] if gpus else ["cpu"]
    if wanted == "auto":
        return known[0]
    if wanted not in known:
        raise MtpanoError(f"device '{wanted}' is not here: expected auto, {', '.join(known)}")
    return wanted


def use_threads(count: int | None) -> None:
    """Let torch use `count` CPU threads, None: as many as it likes; MtpanoError below 1."""
    if count is None:
        return
    if count < 1:
        raise MtpanoError(f"--threads {count} is too small: expected 1 or more")
    torch.set_num_threads(count)
