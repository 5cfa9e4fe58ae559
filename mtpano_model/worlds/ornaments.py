"""Computed patterns with figures: papers, cloths, rugs, pictures, house fronts.

Each function gives a picture [n, n, 3] and the metres it covers.
"""

from __future__ import annotations

import numpy as np

from mtpano_model.worlds.noise import Picture, Rng, fractal, hsv, soft_color
from mtpano_model.worlds.patterns import N, bricks, mottled


def stripes(rng: Rng) -> tuple[Picture, float]:
    count, share = int(rng.integers(4, 16)), rng.uniform(0.2, 0.6)
    a, b = soft_color(rng), soft_color(rng)
    on = ((np.arange(N) * count / N) % 1 < share)[None, :, None]
    picture = np.where(on, a, (a + b) / 2) * np.ones((N, 1, 1))
    return picture * (1 + 0.02 * fractal(rng, N, 0.5))[..., None], rng.uniform(0.7, 1.6)


def motif(rng: Rng) -> tuple[Picture, float]:
    """A repeated flower or dot."""
    count = int(rng.choice([2, 4, 8]))
    side = N // count
    y, x = np.mgrid[0:side, 0:side] / side - 0.5
    petals, reach = int(rng.integers(2, 8)), rng.uniform(0.5, 1)
    inside = np.hypot(x, y) < (0.28 + 0.12 * np.cos(petals * np.arctan2(y, x))) * reach
    color = soft_color(rng)
    cell = np.where(inside[..., None], np.clip(color * rng.choice([0.65, 0.8, 1.2]), 0, 1), color)
    return np.tile(cell, (count, count, 1)), rng.uniform(0.5, 1.2)


def plaid(rng: Rng) -> tuple[Picture, float]:
    count = int(rng.integers(2, 6))
    at = (np.arange(N) * count / N) % 1
    color, warp, weft = (
        hsv(rng.random(), rng.uniform(0.1, 0.8), rng.uniform(0.15, 0.85)) for _ in range(3)
    )
    weight = 0.5 * (at < 0.3) + 0.5 * ((at > 0.5) & (at < 0.56))
    across = color + (warp - color) * weight[None, :, None]
    down = color + (weft - color) * weight[:, None, None]
    return (across + down) / 2 * (1 + 0.04 * fractal(rng, N, 0.4))[..., None], 1.0


def persian(rng: Rng) -> tuple[Picture, float]:
    """A rug of one mirrored ornament within borders."""
    half = N // 2
    field = fractal(rng, N, 2.4)[:half, :half]
    field = field + 0.5 * field.T
    hue = rng.random()
    colors = np.array(
        [
            hsv(hue + d, rng.uniform(0.3, 0.8), rng.uniform(0.15, 0.75))
            for d in (0, 0.03, 0.5, 0.1, 0.6)
        ]
    )
    quarter = colors[np.digitize(field, np.quantile(field, [0.2, 0.45, 0.7, 0.88]))]
    top = np.concatenate([quarter, quarter[:, ::-1]], 1)
    picture = np.concatenate([top, top[::-1]], 0)
    to_edge = np.minimum(np.arange(N), N - 1 - np.arange(N)) / N
    border = np.minimum(to_edge[:, None], to_edge[None])
    for low, high, color in ((0, 0.03, 0), (0.03, 0.045, 2), (0.1, 0.115, 4)):
        picture[(border >= low) & (border < high)] = colors[color]
    return picture * (1 + 0.1 * fractal(rng, N, 0.4))[..., None], 1.0


def art(rng: Rng) -> tuple[Picture, float]:
    """A picture for a wall: contours, shapes, a landscape or clouds of colour."""
    hue = rng.random()
    colors = np.array(
        [
            hsv(hue + rng.normal(0, 0.15), rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.95))
            for _ in range(6)
        ]
    )
    y, x = np.mgrid[0:N, 0:N] / N
    kind = rng.integers(4)
    if kind == 0:
        field = fractal(rng, N, 3.0)
        picture = colors[
            np.digitize(field, np.quantile(field, np.sort(rng.uniform(0.05, 0.95, 5))))
        ]
    elif kind == 1:
        picture = np.ones((N, N, 3)) * colors[0]
        for _ in range(rng.integers(4, 22)):
            cx, cy, reach = rng.random(), rng.random(), rng.uniform(0.04, 0.3)
            round_ = np.hypot(x - cx, y - cy) < reach
            square = (abs(x - cx) < reach) & (abs(y - cy) < reach * rng.uniform(0.2, 1))
            picture[round_ if rng.random() < 0.5 else square] = colors[rng.integers(6)]
    elif kind == 2:
        horizon = rng.uniform(0.35, 0.7)
        picture = colors[0] * (1 - y[..., None]) + colors[1] * y[..., None]
        for hill in range(3):
            edge = horizon + 0.08 * fractal(rng, N, 2.6)[0] * rng.uniform(0.2, 0.8) + 0.1 * hill
            picture[y > edge[None]] = colors[2 + hill]
    else:
        picture = np.ones((N, N, 3)) * colors[0]
        for color in colors[1:]:
            share = np.clip(0.5 + 0.6 * fractal(rng, N, 2.8), 0, 1)[..., None]
            picture = picture + (color - picture) * share * 0.6
    return picture, 1.0


def facade(rng: Rng) -> tuple[Picture, float]:
    """A house front: rows of windows in a plain or brick wall, one storey a repeat."""
    wall = bricks(rng)[0] if rng.random() < 0.4 else mottled(rng, soft_color(rng), 1.2, 0.02, 1)[0]
    picture, count = wall.copy(), int(rng.integers(1, 4))
    glass, frame = hsv(0.58, rng.uniform(0.1, 0.4), rng.uniform(0.1, 0.4)), soft_color(rng)
    y, x = np.mgrid[0:N, 0:N] / N
    x = (x * count) % 1
    half, top, bottom = rng.uniform(0.18, 0.36), rng.uniform(0.15, 0.3), rng.uniform(0.6, 0.85)
    outer = (abs(x - 0.5) < half + 0.03) & (y > top - 0.025) & (y < bottom + 0.025)
    inner = (abs(x - 0.5) < half) & (y > top) & (y < bottom)
    picture[outer] = frame
    picture[inner] = (glass * (1.3 - y[..., None]))[inner]
    picture[inner & (abs(x - 0.5) < 0.015)] = frame
    return picture, 3.0
