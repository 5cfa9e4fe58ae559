"""Picture -> network input. The graph itself normalises, so this is a resize and nothing else."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.inference.resize import resize_image


def preprocess(
    rgb: NDArray[np.uint8], size: tuple[int, int], out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """RGB uint8 [h, w, 3] of any size -> uint8 [1, H, W, 3], `size` = (H, W), into `out` if given.

    A view of BGR data (`bgr[..., ::-1]`) is welcome: it is resized as it lies and its channels are
    swapped afterwards, when there are fewer. ValueError where the picture is of another shape or
    type.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or rgb.size == 0:
        raise ValueError(
            f"the picture is {rgb.dtype} {list(rgb.shape)}, expected uint8 [height, width, 3] RGB"
        )
    if out is None:
        out = np.empty((1, *size, 3), np.uint8)
    if rgb.strides[2] < 0:
        resize_image(rgb[..., ::-1], size, out[0])
        cv2.cvtColor(out[0], cv2.COLOR_BGR2RGB, dst=out[0])
    else:
        resize_image(rgb, size, out[0])
    return out
