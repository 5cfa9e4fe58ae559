"""Composes a panorama of the requested size from the pictures of a rig's lenses."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.crop import FILLING
from mtpano_model.pictures.size import Size
from mtpano_model.rig.exposure import Exposure
from mtpano_model.rig.look_up import Band, LookUp, look_up
from mtpano_model.rig.rig import Rig

Picture = NDArray[np.uint8]
_MEASURED = 1000  # pixels that tell the lenses' exposures apart
_MEASURED_EVERY = 5  # moments
# Reading between halved pixels blurs: (k^2 - 1) / 12 + k^2 / 6 squared lens pixels for k = 2, 0.037
# squared panorama pixels where a lens has five times the resolution. Taking away this share of the
# mean of 3x3, whose variance is 2/3, undoes it.
_SHARPEN = 0.055
_KEPT = 8  # look-ups: one for every set of lenses that are there


class Composer:
    """Fills panoramas of one size from a rig's pictures.

    size: (H, W) of the panorama. exposure: the lenses' gains, which all composers of a rig
    should share. measures: whether this composer updates them; only one should. order: of the
    channels of the pictures and the panorama.
    """

    def __init__(
        self,
        rig: Rig,
        size: Size,
        exposure: Exposure | None = None,
        measures: bool = True,
        order: Literal["rgb", "bgr"] = "rgb",
    ) -> None:
        if rig.uncalibrated:
            raise MtpanoError(
                f"lens '{rig.uncalibrated[0]}' has no calibration yet: is its camera_info "
                "published?"
            )
        self._rig, self._size, self._measures = rig, size, measures
        self._filling = FILLING if order == "rgb" else FILLING[::-1]
        self.exposure = exposure or Exposure(len(rig.lenses))
        self._maps: OrderedDict[tuple[tuple[int, Size], ...], LookUp] = OrderedDict()
        self._atlas = np.zeros((1, 1, 3), np.uint8)
        self._moments = 0

    def compose(
        self, pictures: Mapping[str, Picture], out: Picture | None = None
    ) -> tuple[Picture, NDArray[np.bool_]]:
        """The panorama uint8 [H, W, 3], in `out` if given, and where any lens looks, bool [H, W].

        pictures: topic -> uint8 [h, w, 3]; topics may be missing, but not all.
        MtpanoError if all are, or a picture does not fit its calibration.
        """
        if out is None:
            out = np.empty((*self._size, 3), np.uint8)
        parts = {
            number: lens.part(pictures[lens.topic])
            for number, lens in enumerate(self._rig.lenses)
            if lens.topic in pictures
        }
        if not parts:
            raise MtpanoError("none of the rig's lenses has a picture: are its topics published?")
        maps = self._look_up(parts)
        was_settled = self.exposure.settled or not self._measures
        self._fill(parts, maps, out)
        self._moments += 1
        if not was_settled and self.exposure.settled:
            self._fill(parts, maps, out)  # the very first moment, now with its gains
        return out, maps.seen

    def _look_up(self, parts: dict[int, Picture]) -> LookUp:
        sizes = {number: (part.shape[0], part.shape[1]) for number, part in parts.items()}
        key = tuple(sorted(sizes.items()))
        maps = self._maps.get(key)
        if maps is None:
            maps = self._maps[key] = look_up(self._rig, self._size, sizes)
            if len(self._maps) > _KEPT:
                self._maps.popitem(last=False)
        self._maps.move_to_end(key)
        return maps

    def _fill(self, parts: dict[int, Picture], maps: LookUp, out: Picture) -> None:
        if self._atlas.shape[:2] != maps.atlas:
            self._atlas = np.zeros((*maps.atlas, 3), np.uint8)
        for strip in maps.strips:
            for band in strip.bands:
                self._lay_out(parts[band.lens], band, maps.halvings[band.lens])
            cv2.remap(
                self._atlas,
                maps.places[0][strip.rows],
                maps.places[1][strip.rows],
                cv2.INTER_LINEAR,
                dst=out[strip.rows],
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=self._filling,
            )
        flat = out.reshape(-1, 3)
        for rank, mix in enumerate(maps.mixes):
            under = flat.take(mix.index, axis=0)
            over = np.asarray(cv2.remap(self._atlas, *mix.places, cv2.INTER_LINEAR), np.uint8)
            over = over.reshape(-1, 3)[: len(under)]
            if rank == 0 and self._measures and self._moments % _MEASURED_EVERY == 0:
                every = slice(None, None, max(1, len(under) // _MEASURED))
                self.exposure.measure(under[every], over[every], mix.below[every], mix.lens[every])
            flat[mix.index] = (under * (256 - mix.share) + over * mix.share + 128) >> 8
        if any(maps.halvings):
            soft = cv2.blur(out, (3, 3))
            cv2.addWeighted(out, 1 + _SHARPEN, soft, -_SHARPEN, 0, dst=out)
            if maps.has_unseen:
                out[~maps.seen] = self._filling

    def _lay_out(self, part: Picture, band: Band, halvings: int) -> None:
        """Halve a band of a picture into its place of the atlas, with the lens's gain."""
        pixels, place = part[band.source], self._atlas[band.place]
        for step in range(1, halvings + 1):
            half = pixels.shape[1] // 2, pixels.shape[0] // 2
            into = place if step == halvings else None
            pixels = np.asarray(cv2.resize(pixels, half, into, interpolation=cv2.INTER_AREA))
        table = self.exposure.table(band.lens)
        if table is not None:
            cv2.LUT(pixels, table, dst=place)
        elif not halvings:
            np.copyto(place, pixels)
