"""Outlines of rooms that are no rectangles."""

from __future__ import annotations

import random

import numpy as np

from mtpano_model.worlds.plan import Point


def rectangle(wide: float, deep: float, x: float = 0.0, y: float = 0.0) -> list[Point]:
    return [(x, y), (x + wide, y), (x + wide, y + deep), (x, y + deep)]


def l_shape(rng: random.Random, wide: float, deep: float, arm: float) -> list[Point]:
    """A rectangle without one corner; its arms are at least `arm` wide."""
    a, b = rng.uniform(arm, wide - 0.8), rng.uniform(arm, deep - 0.8)
    return turned(rng, [(0, 0), (wide, 0), (wide, b), (a, b), (a, deep), (0, deep)])


def t_shape(rng: random.Random, wide: float, deep: float, arm: float) -> list[Point]:
    """A rectangle without two corners of one side."""
    a = rng.uniform(0.6, max(0.7, (wide - arm) / 2))
    c = rng.uniform(a + arm, max(a + arm + 0.1, wide - 0.6))
    b = rng.uniform(arm, deep - 0.8)
    corners = [(0.0, 0.0), (wide, 0), (wide, b), (c, b), (c, deep), (a, deep), (a, b), (0, b)]
    return turned(rng, corners)


def turned(rng: random.Random, polygon: list[Point]) -> list[Point]:
    """Turned by quarters and perhaps mirrored, with its lower left corner at the origin."""
    corners = np.array(polygon, np.float64)
    for _ in range(rng.randrange(4)):
        corners = np.stack((-corners[:, 1], corners[:, 0]), 1)
    if rng.random() < 0.5:
        corners = (corners * (-1, 1))[::-1]
    corners = corners - corners.min(0)
    return [(float(x), float(y)) for x, y in corners]


def cut_corner(rng: random.Random, polygon: list[Point]) -> list[Point]:
    """One corner replaced by a slanting wall."""
    index = rng.randrange(len(polygon))
    corners = np.array(polygon, np.float64)
    before, corner, after = corners[index - 1], corners[index], corners[(index + 1) % len(corners)]
    reach = rng.uniform(0.5, 0.4 * min(np.hypot(*(corner - before)), np.hypot(*(after - corner))))
    a = corner + (before - corner) / np.hypot(*(before - corner)) * reach
    b = corner + (after - corner) / np.hypot(*(after - corner)) * reach
    return [*polygon[:index], tuple(map(float, a)), tuple(map(float, b)), *polygon[index + 1 :]]  # type: ignore[list-item]


def bay_window(rng: random.Random, polygon: list[Point], side: int) -> list[Point]:
    """A curved or three-sided bay that bulges out of one side."""
    start, end = np.array(polygon[side]), np.array(polygon[(side + 1) % len(polygon)])
    length = float(np.hypot(*(end - start)))
    along = (end - start) / length
    outward = np.array([along[1], -along[0]])
    half = rng.uniform(0.9, min(1.8, length / 2 - 0.35))
    deep = rng.uniform(0.4, 0.9) * half
    middle = start + along * rng.uniform(half + 0.3, length - half - 0.3)
    angles = np.linspace(np.pi, 0, rng.choice((4, 5, 7, 9)))
    bulge = [middle + along * half * np.cos(a) + outward * deep * np.sin(a) for a in angles]
    points = [tuple(map(float, p)) for p in bulge]
    return [*polygon[: side + 1], *points, *polygon[side + 1 :]]  # type: ignore[list-item]
