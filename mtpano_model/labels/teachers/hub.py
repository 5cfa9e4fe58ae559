"""Shared code of the teachers that run through transformers."""

from __future__ import annotations

from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor

from mtpano_model.errors import MtpanoError, needed_module, one_line
from mtpano_model.network.config import IMAGENET_MEAN, IMAGENET_STD

# What reading weights raises: a file that is missing, is another model's, or is cut short (as a
# safetensors file, a zip archive or a pickle).
UNREADABLE = (
    OSError, ValueError, ImportError, KeyError,
    RuntimeError, EOFError, SafetensorError, UnpicklingError,
)  # fmt: skip


def load(kind: str, source: str, **options: Any) -> Any:
    """transformers' `kind`.from_pretrained(source): a local folder or a repository of the hub.

    MtpanoError if it cannot be loaded. Weights that are pickles are read with weights_only.
    """
    factory = getattr(needed_module("transformers", f"teacher '{source}'"), kind)
    return pretrained(source, factory.from_pretrained, source, **options)


def pretrained(teacher: str, read: Callable[..., Any], *source: Any, **options: Any) -> Any:
    """read(*source, **options); MtpanoError if that fails."""
    try:
        return read(*source, **options)
    except UNREADABLE as error:
        raise MtpanoError(
            f"teacher '{teacher}' cannot be loaded ({one_line(error)}): give a folder or a file "
            "with its weights, or a repository of the Hugging Face hub while online"
        ) from error


def imagenet(pictures: Tensor) -> Tensor:
    """uint8 [N, 3, h, w] -> float with ImageNet's statistics."""
    mean, std = (
        torch.tensor(values, device=pictures.device)[:, None, None]
        for values in (IMAGENET_MEAN, IMAGENET_STD)
    )
    return (pictures.float() - mean) / std


def normalised(patches: Tensor, multiple: int) -> Tensor:
    """uint8 [N, 3, h, w] -> float with ImageNet statistics, sides rounded to a multiple."""
    picture = imagenet(patches)
    size = [max(1, round(side / multiple)) * multiple for side in patches.shape[-2:]]
    if size == list(patches.shape[-2:]):
        return picture
    return F.interpolate(picture, size, mode="bilinear", align_corners=False, antialias=True)


def mask_scores(classes: Tensor, masks: Tensor) -> Tensor:
    """Scores [N, C, h, w] of mask classification (arXiv 2107.06278, section 3.4).

    classes: logits [N, Q, C + 1], the last "no object". masks: logits [N, Q, h, w].
    """
    return torch.einsum("nqc,nqhw->nchw", classes.softmax(-1)[..., :-1], masks.sigmoid())
