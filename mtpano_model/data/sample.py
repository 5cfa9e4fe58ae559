"""A panorama with its targets and their validity masks, which every data set yields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass
class Sample:
    """One panorama of H x W pixels, optical frame.

    name: what to call it in messages.
    image: uint8 [3, H, W], RGB.
    depth: float32 [1, H, W], metres along the ray; 0 where invalid. depth_valid: bool [1, H, W].
    normals: float32 [3, H, W], unit vectors towards the camera; 0 where invalid.
    normals_valid: bool [1, H, W].
    semseg: uint8 [H, W], class ids, 255 unlabelled.
    confidence: float32 [1, H, W] in 0..1, how far a pseudo-label is to be trusted, or None.
    """

    name: str
    image: Tensor
    depth: Tensor
    depth_valid: Tensor
    normals: Tensor
    normals_valid: Tensor
    semseg: Tensor
    confidence: Tensor | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)."""
        return self.image.shape[-2], self.image.shape[-1]

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """The image as pictures are elsewhere, uint8 [H, W, 3]."""
        return self.image.permute(1, 2, 0).contiguous().numpy()


@dataclass
class Batch:
    """Samples of one size, stacked: every tensor of `Sample` with a leading B.

    auxiliary: targets computed by the loader's workers, by task name (grad [B, 2, H, W],
        edf [B, 1, H, W]); empty where nobody asked for them.
    """

    names: list[str]
    image: Tensor
    depth: Tensor
    depth_valid: Tensor
    normals: Tensor
    normals_valid: Tensor
    semseg: Tensor
    confidence: Tensor | None
    auxiliary: dict[str, Tensor]

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """A batch of every tensor's `change`."""
        changed: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                value = change(value)
            elif isinstance(value, dict):
                value = {name: change(tensor) for name, tensor in value.items()}
            changed[field.name] = value
        return Batch(**changed)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with its tensors on another device."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))

    def __len__(self) -> int:
        return len(self.names)


class PanoramaDataset(Protocol):
    """A map-style data set of `Sample`s. class_set names a set of `mtpano_model.classes`."""

    @property
    def class_set(self) -> str: ...

    @property
    def names(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


def spread(length: int, limit: int | None) -> list[int]:
    """`limit` indices evenly spread over 0..length-1; all where limit is None or larger."""
    if limit is None or limit >= length:
        return list(range(length))
    return np.linspace(0, length - 1, limit).round().astype(int).tolist()


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of one size. Where only some carry a confidence, the others count fully."""
    confidence = None
    if any(s.confidence is not None for s in samples):
        confidence = torch.stack(
            [torch.ones(1, *s.size) if s.confidence is None else s.confidence for s in samples]
        )
    return Batch(
        names=[s.name for s in samples],
        image=torch.stack([s.image for s in samples]),
        depth=torch.stack([s.depth for s in samples]),
        depth_valid=torch.stack([s.depth_valid for s in samples]),
        normals=torch.stack([s.normals for s in samples]),
        normals_valid=torch.stack([s.normals_valid for s in samples]),
        semseg=torch.stack([s.semseg for s in samples]),
        confidence=confidence,
        auxiliary={},
    )
