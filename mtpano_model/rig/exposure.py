"""Estimates gains that make overlapping lenses agree in brightness and colour.

As in Brown and Lowe, "Automatic Panoramic Image Stitching using Invariant Features" (2007),
section 6: one gain a lens, here one a channel, by least squares over all overlaps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_USABLE = (10.0, 245.0)  # values that are neither drowned in noise nor clipped
_FEWEST = 50  # pixels that an overlap needs to count
_RATE = 0.3  # share of the remaining difference that one moment takes away: flicker is worse
_LIMIT = np.log(2.5)
_PRIOR = 1e-3
_UNNOTICED = 0.01  # of a gain


class Exposure:
    """Gains of every lens and channel, 1 at first."""

    def __init__(self, lenses: int) -> None:
        self._log = np.zeros((lenses, 3))
        self._moments = 0

    @property
    def gains(self) -> NDArray[np.float64]:
        """Factors [lenses, 3]; their geometric mean over the lenses is 1."""
        return np.exp(self._log)

    @property
    def settled(self) -> bool:
        """Whether at least one moment has been measured."""
        return self._moments > 0

    def table(self, lens: int) -> NDArray[np.uint8] | None:
        """OpenCV look-up table [1, 256, 3] of a lens; None where it would change nothing."""
        if np.abs(self._log[lens]).max() < _UNNOTICED:
            return None
        values = np.arange(256)[:, None] * self.gains[lens]
        return np.clip(values + 0.5, 0, 255).astype(np.uint8)[None]

    def measure(
        self,
        first: NDArray[np.uint8],
        second: NDArray[np.uint8],
        first_lens: NDArray[np.int64],
        second_lens: NDArray[np.int64],
    ) -> None:
        """Update the gains from two lenses' colours [n, 3] of the same places; lens numbers [n].

        The present gains are already applied to both colours.
        """
        lenses = len(self._log)
        matrix = np.full((lenses, lenses), 0.0)
        wanted = np.zeros((lenses, 3))
        pairs = np.minimum(first_lens, second_lens) * lenses + np.maximum(first_lens, second_lens)
        a, b = first.astype(np.float64), second.astype(np.float64)
        usable = ((np.minimum(a, b) > _USABLE[0]) & (np.maximum(a, b) < _USABLE[1])).all(1)
        swapped = first_lens > second_lens
        ratio = np.log(np.maximum(b, 1) / np.maximum(a, 1))
        ratio[swapped] *= -1
        for pair in np.unique(pairs[usable]):
            here = usable & (pairs == pair)
            count = int(here.sum())
            if count < _FEWEST:
                continue
            i, j = divmod(int(pair), lenses)
            # log gain of i minus log gain of j is to become the ratio of j's colours to i's.
            difference = np.median(ratio[here], axis=0)
            matrix[[i, j], [i, j]] += count
            matrix[[i, j], [j, i]] -= count
            wanted[i] += count * difference
            wanted[j] -= count * difference
        if not matrix.any():
            return
        matrix += np.eye(lenses) * _PRIOR * matrix.max()
        change = np.linalg.solve(matrix, wanted)
        self._log += change * (_RATE if self.settled else 1.0)
        self._log = np.clip(self._log - self._log.mean(0), -_LIMIT, _LIMIT)
        self._moments += 1
