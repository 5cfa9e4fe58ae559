"""Composes a rig's panoramas at any size, all with the same gains."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from mtpano_model.pictures.size import Size
from mtpano_model.rig.composer import Composer
from mtpano_model.rig.exposure import Exposure
from mtpano_model.rig.rig import Rig

_MOST_ROWS = 1024


class RigPanoramas:
    """Composes pictures of calibrated lenses, RGB, by topic; for one thread.

    MtpanoError if a lens of the rig has no calibration yet.
    """

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self._exposure = Exposure(len(rig.lenses))
        self._composers: dict[Size, Composer] = {}
        Composer(rig, (2, 4))  # which says what is missing

    @property
    def size(self) -> Size:
        """(H, W), the rig's `panorama_size`, but of at most 1024 rows."""
        rows = min(_MOST_ROWS, self.rig.panorama_size[0])
        return rows, 2 * rows

    def compose(
        self, pictures: Mapping[str, NDArray[np.uint8]], size: Size
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """As `Composer.compose`, for a panorama of `size`; the first size measures the gains."""
        if size not in self._composers:
            measures = not self._composers
            self._composers[size] = Composer(self.rig, size, self._exposure, measures)
        return self._composers[size].compose(pictures)
