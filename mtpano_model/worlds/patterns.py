"""Computed textures: wood, tiles, bricks, concrete, carpets, papers, rugs, asphalt, pictures.

Each function gives a tileable picture [n, n, 3] and the metres it covers.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mtpano_model.worlds.noise import Picture, Rng, fractal, hsv, soft_color, wood_color

N = 512
Pattern = Callable[[Rng], tuple[Picture, float]]


def mottled(
    rng: Rng, color: NDArray, steepness: float, depth: float, size: float
) -> tuple[Picture, float]:
    """One colour, lighter and darker by noise."""
    return color * (1 + depth * fractal(rng, N, steepness))[..., None], size


def planks(rng: Rng) -> tuple[Picture, float]:
    """Boards along the rows, each with its own grain and tone."""
    width, size = rng.uniform(0.09, 0.2), 1.6
    rows, pieces = max(2, round(size / width)), int(rng.integers(2, 4))
    color, tone, contrast = wood_color(rng), rng.uniform(0.03, 0.16), rng.uniform(0.04, 0.12)
    seam = rng.uniform(0.35, 0.85)
    grain = 0.6 * fractal(rng, N, 1.6, (1, 9)) + 0.4 * fractal(rng, N, 1.2, (1, 30))
    picture = np.empty((N, N, 3))
    edges = np.linspace(0, N, rows + 1).astype(int)
    for top, bottom in pairwise(edges):
        cuts = np.sort((rng.integers(N) + np.arange(pieces) * N // pieces) % N)
        piece_of = np.searchsorted(cuts, np.arange(N), side="right") % pieces
        for piece in range(pieces):
            columns = piece_of == piece
            own = np.roll(grain, (rng.integers(N), rng.integers(N)), (0, 1))[top:bottom][:, columns]
            light = 1 + contrast * own + tone * rng.standard_normal()
            picture[top:bottom, columns] = color * light[..., None]
        picture[top:bottom, cuts] *= seam
        picture[top : top + 2] *= seam
    return picture, size


def wall_boards(rng: Rng) -> tuple[Picture, float]:
    """Boards that stand upright."""
    picture, size = planks(rng)
    return picture.transpose(1, 0, 2), size


def parquet(rng: Rng) -> tuple[Picture, float]:
    """Square blocks of strips, turned in turns."""
    blocks, strips = 4, int(rng.integers(4, 6))
    side = N // blocks
    color, contrast = wood_color(rng), rng.uniform(0.04, 0.1)
    grain = fractal(rng, N, 1.6, (1, 9))
    picture = np.empty((N, N, 3))
    edges = np.linspace(0, side, strips + 1).astype(int)
    for i in range(blocks):
        for j in range(blocks):
            own = np.roll(grain, (rng.integers(N), rng.integers(N)), (0, 1))[:side, :side]
            tones = np.repeat(0.1 * rng.standard_normal(strips), np.diff(edges))[:, None]
            tile = color * (1 + contrast * own + tones)[..., None]
            tile[edges[:-1]] *= 0.6
            if (i + j) % 2:
                tile = tile.transpose(1, 0, 2)
            picture[i * side : (i + 1) * side, j * side : (j + 1) * side] = tile
    return picture, blocks * rng.uniform(0.24, 0.4)


def tiles(
    rng: Rng,
    color: NDArray | None = None,
    across: int = 4,
    aspect: float = 1.0,
    offset: float = 0.0,
    tile: float = 0.4,
) -> tuple[Picture, float]:
    """Tiles with joints; aspect: width over height; offset: share that every other row is moved."""
    wide = N // across
    rows = max(1, round(N / (wide / aspect)))
    rows += rows % 2 if offset else 0
    color = (
        hsv(rng.random(), rng.uniform(0, 0.25), rng.uniform(0.3, 0.9)) if color is None else color
    )
    other = hsv(rng.random(), rng.uniform(0, 0.4), rng.uniform(0.05, 0.6))
    checked, tone = rng.random() < 0.2 and not offset, rng.uniform(0, 0.08)
    joint = hsv(rng.uniform(0.05, 0.15), rng.uniform(0, 0.2), rng.uniform(0.2, 0.8))
    joint_px = max(2, round(0.004 * N / (across * tile)))
    skins = (
        lambda: np.ones((N, N)),
        lambda: 1 + 0.07 * fractal(rng, N, 0.3),
        lambda: 1 + 0.07 * fractal(rng, N, 2.2),
        lambda: 1 - 0.22 * np.exp(-np.abs(fractal(rng, N, 2.6)) * 8) + 0.04 * fractal(rng, N, 2),
    )
    skin = skins[rng.integers(len(skins))]()
    picture = np.empty((N, N, 3))
    edges = np.linspace(0, N, rows + 1).astype(int)
    for i, (top, bottom) in enumerate(pairwise(edges)):
        for j in range(across):
            own = np.roll(skin, (rng.integers(N), rng.integers(N)), (0, 1))[: bottom - top, :wide]
            base = other if checked and (i + j) % 2 else color
            piece = base * (1 + tone * rng.standard_normal()) * own[..., None]
            piece[:joint_px] = joint
            piece[:, :joint_px] = joint
            columns = (np.arange(wide) + j * wide + int((i % 2) * offset * wide)) % N
            picture[top:bottom, columns] = piece
    return picture, tile * across


def wall_tiles(rng: Rng) -> tuple[Picture, float]:
    """What bathrooms and kitchens wear."""
    return tiles(
        rng,
        soft_color(rng),
        6 if rng.random() < 0.6 else 4,
        float(rng.choice([1, 1, 2])),
        float(rng.choice([0, 0.5])),
        rng.uniform(0.1, 0.35),
    )


def bricks(rng: Rng) -> tuple[Picture, float]:
    """A brick wall, bare or painted."""
    hue, saturation = (
        (rng.uniform(0, 0.05), 0.55) if rng.random() < 0.6 else (rng.uniform(0.05, 0.12), 0.3)
    )
    color = hsv(hue, saturation * rng.uniform(0, 1.1), rng.uniform(0.35, 0.9))
    picture, size = tiles(rng, color, 4, 3.2, 0.5, 0.22)
    return picture * (1 + 0.08 * fractal(rng, N, 1))[..., None], size


def concrete_blocks(rng: Rng) -> tuple[Picture, float]:
    """Grey masonry blocks of workshops and stores."""
    color = hsv(rng.uniform(0.05, 0.6), rng.uniform(0, 0.12), rng.uniform(0.45, 0.85))
    picture, size = tiles(rng, color, 4, 2.0, 0.5, 0.4)
    return picture * (1 + 0.05 * fractal(rng, N, 0.6))[..., None], size


def concrete(rng: Rng) -> tuple[Picture, float]:
    color = hsv(rng.uniform(0.05, 0.15), rng.uniform(0, 0.1), rng.uniform(0.3, 0.75))
    picture, size = mottled(rng, color, 2.0, rng.uniform(0.04, 0.12), 3.0)
    stains = np.clip(fractal(rng, N, 2.8) - 1.2, 0, 1)[..., None]
    return picture * (1 - rng.uniform(0, 0.3) * stains), size


def epoxy(rng: Rng) -> tuple[Picture, float]:
    """A painted industrial floor with scuffs."""
    color = hsv(rng.random(), rng.uniform(0, 0.35), rng.uniform(0.3, 0.75))
    picture, size = mottled(rng, color, 1.4, rng.uniform(0.01, 0.04), 4.0)
    scuffs = np.clip(fractal(rng, N, 1.6, (1, 6)) - 1.8, 0, 1)[..., None]
    return picture * (1 - 0.4 * scuffs), size


def terrazzo(rng: Rng) -> tuple[Picture, float]:
    color = hsv(rng.uniform(0.03, 0.6), rng.uniform(0, 0.15), rng.uniform(0.45, 0.85))
    chips = np.digitize(fractal(rng, N, 0.9), (1.1, 1.7))
    shades = np.array([color, color * rng.uniform(0.5, 0.9), color * rng.uniform(0.3, 1.2)])
    return shades[chips], 1.5


def carpet(rng: Rng) -> tuple[Picture, float]:
    saturation = rng.uniform(0, 0.2) if rng.random() < 0.7 else rng.uniform(0.2, 0.6)
    color = hsv(rng.random(), saturation, rng.uniform(0.12, 0.7))
    picture, size = mottled(rng, color, 0.4, rng.uniform(0.08, 0.2), 1.0)
    if rng.random() < 0.4:  # carpet tiles of an office
        shade = 1 + rng.uniform(0.02, 0.08) * rng.standard_normal((2, 2))
        picture = picture * np.kron(shade, np.ones((N // 2, N // 2)))[..., None]
    return picture, size


def sports_floor(rng: Rng) -> tuple[Picture, float]:
    color = hsv(rng.uniform(0.05, 0.6), rng.uniform(0.2, 0.6), rng.uniform(0.4, 0.75))
    return mottled(rng, color, 1.2, 0.02, 2.0)


def asphalt(rng: Rng) -> tuple[Picture, float]:
    color = hsv(0.1, rng.uniform(0, 0.06), rng.uniform(0.15, 0.4))
    return mottled(rng, color, 0.5, rng.uniform(0.1, 0.2), 2.0)


def grass(rng: Rng) -> tuple[Picture, float]:
    color = hsv(rng.uniform(0.2, 0.3), rng.uniform(0.35, 0.65), rng.uniform(0.2, 0.45))
    picture, size = mottled(rng, color, 0.8, 0.25, 2.0)
    return picture * (1 + 0.1 * fractal(rng, N, 2.5))[..., None], size


def paving(rng: Rng) -> tuple[Picture, float]:
    color = hsv(rng.uniform(0.02, 0.12), rng.uniform(0.02, 0.3), rng.uniform(0.35, 0.7))
    picture, size = tiles(
        rng,
        color,
        int(rng.integers(4, 8)),
        float(rng.choice([1, 2])),
        float(rng.choice([0, 0.5])),
        rng.uniform(0.2, 0.5),
    )
    return picture * (1 + 0.08 * fractal(rng, N, 0.7))[..., None], size


def paint(rng: Rng) -> tuple[Picture, float]:
    return mottled(rng, soft_color(rng), 1.6, rng.uniform(0.004, 0.03), 1.5)
