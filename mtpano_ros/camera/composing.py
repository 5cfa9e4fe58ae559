"""Composes a calibrated rig's panoramas for the network's picture and for the outputs' colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.picture import BadPicture
from mtpano_model.pictures.size import Size
from mtpano_model.rig.check import dark_rims
from mtpano_model.rig.composer import Composer
from mtpano_model.rig.exposure import Exposure
from mtpano_model.rig.rig import Rig

Pixels = NDArray[np.uint8]
Order = Literal["rgb", "bgr"]


class Composing:
    """`fill` runs in the thread that prepares pictures, `colors` in the one that finishes frames.

    RigPanoramas, in contrast, has one composer for each size, for a single thread. Here only one
    size of colours is kept. size: (H, W), the rig's `panorama_size`.
    """

    def __init__(self, rig: Rig, network: Size) -> None:
        self.rig = rig
        self._network_size = network
        self._exposure = Exposure(len(rig.lenses))
        self._network: dict[Order, Composer] = {}
        self._colors: tuple[Order, Size, Composer] | None = None
        self._judged: set[str] = set()
        self._narrow: list[str] = []
        self.size = rig.panorama_size

    def check(self, topic: str, picture: Pixels) -> None:
        """BadPicture if a picture does not have the size of its lenses' calibration."""
        for lens in self.rig.lenses:
            if lens.topic != topic or lens.camera is None:
                continue
            height, width = lens.part(picture).shape[:2]
            try:
                lens.camera.scaled_to((height, width) if lens.turn % 180 == 0 else (width, height))
            except MtpanoError as error:
                raise BadPicture("size", f"lens '{lens.name}': {error}") from error

    def narrow(self, pictures: Mapping[str, Pixels]) -> list[str]:
        """Warnings about too large a field_of_view, from the first picture of each lens."""
        new = {topic: pixels for topic, pixels in pictures.items() if topic not in self._judged}
        self._judged |= new.keys()
        if new:
            self._narrow += dark_rims(self.rig, new)
        return self._narrow

    def fill(self, pictures: Mapping[str, Pixels], order: Order, out: Pixels) -> NDArray[np.bool_]:
        """Write the network's picture into out [H, W, 3]; returns where any looks, [H, W]."""
        if order not in self._network:
            self._network[order] = Composer(
                self.rig, self._network_size, self._exposure, order=order
            )
        _, seen = self._network[order].compose(pictures, out)
        return seen

    def colors(self, pictures: Mapping[str, Pixels], order: Order, size: Size) -> Pixels:
        """A panorama uint8 [H, W, 3] of `size`, with the exposure that `fill` has measured."""
        if self._colors is None or self._colors[:2] != (order, size):
            composer = Composer(self.rig, size, self._exposure, measures=False, order=order)
            self._colors = order, size, composer
        return self._colors[2].compose(pictures)[0]
