"""Named numbers, and their mean over frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Figures = dict[str, float]


def mean_figures(frames: Sequence[Figures]) -> Figures:
    """Mean of each figure over frames that all have the same ones; empty for no frames."""
    if not frames:
        return {}
    return {name: float(np.mean([frame[name] for frame in frames])) for name in frames[0]}
