"""From a decoded picture to a panorama: checks its shape, and notes what is odd about it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.pictures.fisheye import fisheye_note
from mtpano_model.pictures.picture import Note, Picture
from mtpano_model.pictures.shape import check_pixels, check_shape, is_panoramic
from mtpano_model.pictures.size import Size, size_text

_EYE = (32, 64)  # rows and columns that tell whether two eyes see the same
_ALIKE = 0.8  # concordance of two eyes is 0.85 and more, of halves of other pictures up to 0.7
_FLAT = 5.0  # of 255: standard deviation below which there is nothing to compare


def refuse_shape(size: Size, allow_any: bool, hint: str = "") -> None:
    """BadPicture where it is sure before decoding that (H, W) will be refused."""
    check_pixels(size)
    if not is_panoramic((size[0] // 2, size[1])):
        check_shape(size, allow_any, hint)


def as_panorama(picture: Picture, allow_any: bool = False, hint: str = "") -> Picture:
    """The panorama in a picture, with notes; BadPicture where it has another shape.

    Of top-bottom stereo, a square of two panoramas that look alike, it is the upper, the left
    eye's. allow_any, hint: as for `check_shape`.
    """
    if is_panoramic((picture.size[0] // 2, picture.size[1])) and _is_stereo(picture.pixels):
        eye = picture.size[0] // 2, picture.size[1]
        text = (
            f"it is top-bottom stereo of {size_text(picture.size)} (rows x columns), and its upper "
            "half is taken, the left eye's"
        )
        notes: tuple[Note, ...] = (Note("stereo", text),)
        upper = picture.pixels[: picture.pixels.shape[0] // 2]
        picture = replace(picture, pixels=upper, size=eye)
    else:
        notes = check_shape(picture.size, allow_any, hint)
    return replace(picture, notes=picture.notes + notes + fisheye_note(picture.pixels))


def _is_stereo(pixels: NDArray[np.uint8]) -> bool:
    """Whether the halves of [h, w, 3] show the same: Lin's concordance correlation, which unlike
    Pearson's falls where one half is lighter, as a sky is."""
    half = pixels.shape[0] // 2
    if half < _EYE[0]:
        return False
    upper, lower = (_small(part) for part in (pixels[:half], pixels[half : 2 * half]))
    middles = upper.mean(0), lower.mean(0)
    spread = float(upper.var(0).sum() + lower.var(0).sum())
    both = float(((upper - middles[0]) * (lower - middles[1])).mean(0).sum())
    apart = float(np.square(middles[0] - middles[1]).sum())
    return spread > 6 * _FLAT**2 and 2 * both / (spread + apart) > _ALIKE


def _small(part: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Colours [n, 3], of a part of the pixels where there are many."""
    step = max(1, part.shape[1] // (4 * _EYE[1]))
    thinned = np.ascontiguousarray(part[::step, ::step])
    small = cv2.resize(thinned, _EYE[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float64).reshape(-1, 3)
