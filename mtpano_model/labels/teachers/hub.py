"""What the teachers that come through transformers share."""

from __future__ import annotations

from importlib import import_module
from pickle import UnpicklingError
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor

from mtpano_model.errors import MtpanoError
from mtpano_model.network.config import IMAGENET_MEAN, IMAGENET_STD

# What reading weights raises: a file that is missing, is another model's, or is cut short (as a
# safetensors file, a zip archive or a pickle).
UNREADABLE = (
    OSError, ValueError, ImportError, KeyError,
    RuntimeError, EOFError, SafetensorError, UnpicklingError,
)  # fmt: skip


def load(kind: str, source: str, **options: Any) -> Any:
    """transformers' `kind`.from_pretrained(source): a local folder or a repository of the hub.

    MtpanoError where it cannot be had. Weights that are pickles are read with weights_only.
    """
    try:
        factory = getattr(import_module("transformers"), kind)
    except ImportError as error:
        raise MtpanoError(
            f"teacher '{source}' needs the library 'transformers' ({error}): install it with "
            "`pip install transformers`"
        ) from error
    try:
        return factory.from_pretrained(source, **options)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:200]
        raise MtpanoError(
            f"teacher '{source}' cannot be loaded ({reason}): give a folder with its config and "
            "weights, or a repository of the Hugging Face hub while online"
        ) from error


def normalised(patches: Tensor, multiple: int) -> Tensor:
    """uint8 [N, 3, h, w] -> float with ImageNet statistics, sides rounded to a multiple."""
    mean, std = (
        torch.tensor(values, device=patches.device)[:, None, None]
        for values in (IMAGENET_MEAN, IMAGENET_STD)
    )
    picture = (patches.float() - mean) / std
    size = [max(1, round(side / multiple)) * multiple for side in patches.shape[-2:]]
    if size == list(patches.shape[-2:]):
        return picture
    return F.interpolate(picture, size, mode="bilinear", align_corners=False, antialias=True)


def mask_scores(classes: Tensor, masks: Tensor) -> Tensor:
    """Scores [N, C, h, w] of mask classification (arXiv 2107.06278, section 3.4).

    classes: logits [N, Q, C + 1], the last "no object". masks: logits [N, Q, h, w].
    """
    return torch.einsum("nqc,nqhw->nchw", classes.softmax(-1)[..., :-1], masks.sigmoid())
