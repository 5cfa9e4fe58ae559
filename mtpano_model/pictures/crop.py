"""Panoramas that a camera cropped, put back into the whole sphere that their metadata tell of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mtpano_model.pictures.picture import Note, Picture
from mtpano_model.pictures.shape import is_panoramic
from mtpano_model.pictures.size import Size, size_text
from mtpano_model.pictures.xmp import PhotoSphere

# What stands where nothing is seen, RGB; chosen by measurement, see docs/cameras.md.
FILLING = (124, 116, 104)
_SAME_SCALE = 0.02  # by how much height and width may be scaled differently


@dataclass(frozen=True)
class Crop:
    """Where a stored picture lies in the whole sphere, in pixels of the stored picture.

    whole, kept: (H, W) of both. top, left: of the stored picture's first pixel.
    """

    whole: Size
    kept: Size
    top: int
    left: int

    def note(self) -> Note:
        """That something is missing."""
        text = (
            f"its metadata (GPano) say that it is {size_text(self.kept)} out of a panorama of "
            f"{size_text(self.whole)} (rows x columns), from row {self.top} and column {self.left} "
            "on: the rest of the sphere counts as unseen"
        )
        return Note("crop", text)

    def padded(self, picture: Picture) -> Picture:
        """The whole sphere of a picture, which may have been decoded smaller than it is stored."""
        height, width = picture.pixels.shape[:2]
        down, across = height / self.kept[0], width / self.kept[1]
        rows = max(height, round(self.whole[0] * down))
        columns = max(width, round(self.whole[1] * across))
        top = min(round(self.top * down), rows - height)
        left = min(round(self.left * across), columns - width)
        place = slice(top, top + height), slice(left, left + width)
        pixels = np.empty((rows, columns, 3), np.uint8)
        pixels[:] = FILLING if picture.order == "rgb" else FILLING[::-1]
        pixels[place] = picture.pixels
        seen = np.zeros((rows, columns), bool)
        seen[place] = True
        return replace(picture, pixels=pixels, size=self.whole, seen=seen)


def find_crop(sphere: PhotoSphere, stored: Size) -> Crop | None:
    """What a picture of (H, W) `stored` was kept of; None where nothing was cut off, or where the
    metadata do not fit the picture: editors keep them when they crop and resize."""
    if sphere.crop is None or sphere.full is None or not is_panoramic(sphere.full):
        return None
    top, left, height, width = sphere.crop
    fits = top + height <= sphere.full[0] and left + width <= sphere.full[1]
    if min(top, left) < 0 or min(height, width) < 1 or not fits:
        return None
    down, across = stored[0] / height, stored[1] / width
    if abs(down - across) > _SAME_SCALE * across:
        return None
    whole = round(sphere.full[0] * down), round(sphere.full[1] * across)
    return Crop(whole, stored, round(top * down), round(left * across))
