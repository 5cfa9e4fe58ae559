"""Picture -> network input: a resize and a closed seam. The graph itself normalises."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.pictures.resize import resize_image

_SEAM_REACH = 12  # columns on either side
_SEAM_STEP = 32  # of 255, on either side: what steps farther is an edge of something


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
    close_seam(out[0])
    return out


def close_seam(picture: NDArray[np.uint8]) -> None:
    """Spread the colour step between a panorama's last and first columns, in place.

    Left and right border are neighbours in the world, but stitchers, denoisers and codecs take them
    for ends, and the network would take what they leave there for a step in depth. Where columns
    differ more across the border than inside the picture, half the step between the outer two
    columns of both sides fades away over twelve columns each way, in rows where it is small enough
    not to be an edge of something. picture: uint8 [H, W, 3].
    """
    reach = min(_SEAM_REACH, picture.shape[1] // 4)
    if reach < 2:
        return
    left = picture[:, :reach].astype(np.float32)
    right = picture[:, -1 : -reach - 1 : -1].astype(np.float32)  # outermost first
    step = (left[:, :2] - right[:, :2]).sum(1, keepdims=True) / 4
    size = np.abs(step)
    rows = picture[::4]  # enough to tell; pairs of columns lie two apart there, as at the border
    inside = cv2.norm(rows[:, 2:], rows[:, :-2], cv2.NORM_L1) / rows[:, 2:].size
    if 2 * size.mean() <= inside:
        return
    step[(size > _SEAM_STEP).any(-1)] = 0
    fade = 1 - np.arange(reach, dtype=np.float32)[:, None] / reach
    picture[:, :reach] = np.clip(left - fade * step + 0.5, 0, 255)
    picture[:, -1 : -reach - 1 : -1] = np.clip(right + fade * step + 0.5, 0, 255)
