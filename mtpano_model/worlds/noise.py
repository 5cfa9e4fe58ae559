"""Seeded noise and colours for computed pictures."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float64]  # [n, n, 3] in 0..1 (may stray outside before it is cut)
Rng = np.random.Generator


def fractal(
    rng: Rng, n: int, steepness: float, stretch: tuple[float, float] = (1.0, 1.0)
) -> NDArray[np.float64]:
    """Tileable noise [n, n], mean 0, deviation 1, whose power falls with frequency**-steepness.

    stretch: makes features that many times longer along columns and rows.
    """
    rows = np.fft.fftfreq(n)[:, None] * stretch[0]
    columns = np.fft.rfftfreq(n)[None] * stretch[1]
    frequency = np.sqrt(rows * rows + columns * columns)
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.standard_normal((n, n))) * frequency ** (-steepness / 2)
    spectrum[0, 0] = 0.0
    field = np.fft.irfft2(spectrum, s=(n, n))
    return np.asarray(field / (field.std() + 1e-9))


def hsv(hue: float, saturation: float, value: float) -> NDArray[np.float64]:
    """RGB of a colour; the hue wraps around, the others are cut to 0..1."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1)))


def wood_color(rng: Rng) -> NDArray[np.float64]:
    """From pale birch to walnut."""
    return hsv(rng.uniform(0.04, 0.11), rng.uniform(0.15, 0.65), rng.uniform(0.22, 0.8))


def soft_color(rng: Rng) -> NDArray[np.float64]:
    """What people paint walls with: mostly pale."""
    saturation = rng.uniform(0, 0.12) if rng.random() < 0.6 else rng.uniform(0, 0.45)
    return hsv(rng.random(), saturation, rng.uniform(0.5, 0.93))
