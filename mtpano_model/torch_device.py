"""Where torch computes: what a command's --device means."""

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
