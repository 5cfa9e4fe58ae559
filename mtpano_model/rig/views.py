"""Renders the lenses' pictures of a panorama, for demonstrations and tests."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry import sphere
from mtpano_model.pictures.size import Size
from mtpano_model.rig.rig import Lens

_BORDER = 2  # columns beyond the seam that interpolation may read


class LensView:
    """One lens looking at panoramas of one size, infinitely far away.

    lens: calibrated, upright (`turn` 0). size: (H, W) of the panoramas.
    """

    def __init__(self, lens: Lens, size: Size) -> None:
        assert lens.camera is not None
        height, width = lens.camera.size
        rays, self._seen = lens.camera.unproject(*np.mgrid[0:height, 0:width][::-1])
        columns, rows = sphere.project(rays @ lens.rotation.T, *size)
        x = np.nan_to_num(columns - 0.5 + _BORDER).astype(np.float32)
        y = np.nan_to_num(rows - 0.5).astype(np.float32)
        maps: Any = cv2.convertMaps(x, y, cv2.CV_16SC2)
        self._pixels, self._weights = maps

    def __call__(self, panorama: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The lens's picture [h, w, 3], black where it sees nothing."""
        wrapped = cv2.copyMakeBorder(panorama, 0, 0, _BORDER, _BORDER, cv2.BORDER_WRAP)
        picture: Any = cv2.remap(
            wrapped,
            self._pixels,
            self._weights,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        picture[~self._seen] = 0
        return np.asarray(picture, np.uint8)
