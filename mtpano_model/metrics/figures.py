"""Named numbers, and their mean over frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Figures = dict[str, float]


def mean_figures(frames: Sequence[Figures]) -> Figures:
    """Mean of each figure over the frames that have it; empty for no frames."""
    names = dict.fromkeys(name for frame in frames for name in frame)
    return {n: float(np.mean([frame[n] for frame in frames if n in frame])) for n in names}
