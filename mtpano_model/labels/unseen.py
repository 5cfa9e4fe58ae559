"""Parts of a panorama that show nothing: no lens looks there, or a camera cut them off."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtpano_model.geometry.perspective import Views, to_patches
from mtpano_model.pictures.resize import resize_nearest


def unseen_pixels(seen: NDArray[np.bool_], size: tuple[int, int]) -> Tensor:
    """bool [P], of a canvas of `size` (H, W); seen: bool [h, w]."""
    return torch.from_numpy(resize_nearest(seen.view(np.uint8), size) == 0).flatten()


def unseen_in_patches(seen: NDArray[np.bool_], views: Views) -> Tensor:
    """bool [N, 1, h, w], of perspective views; seen: bool [h, w]."""
    shown = torch.from_numpy(seen.astype(np.float32))[None]
    return to_patches(shown.to(views.rotation.device), views) < 1
