"""Finds points that two lenses of a rig both see.

Both lenses are projected to the same panorama, so that their overlap looks alike, and corners of
one are searched for in the other. A panorama is distorted near its poles, so each pair is compared
twice, the second time with the rig turned by 90 degrees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry import sphere
from mtpano_model.rig.rig import Rig
from mtpano_model.rig.view import view

Floats = NDArray[np.float64]
_SIZE = (512, 1024)
_LEVEL = math.radians(50)  # latitude beyond which a panorama is too torn to follow corners in
_MOST = 400  # corners a pair and drawing
_PATCH = 7  # pixels around a corner
_REACH = 14  # pixels of the drawing that it may have moved by: 5 degrees
_ALIKE = 0.85  # normalised correlation


@dataclass(frozen=True, eq=False)
class Overlap:
    """Matches of two lenses, given by their numbers. rays: [n, 3] each, in the panorama's frame,
    towards the same points by either lens. difference: mean absolute difference of their colours,
    of 255."""

    first: int
    second: int
    first_rays: Floats
    second_rays: Floats
    difference: float

    @property
    def degrees(self) -> Floats:
        """Angle between both lenses' rays, [n]."""
        cross = np.linalg.norm(np.cross(self.first_rays, self.second_rays), axis=1)
        return np.degrees(np.arcsin(np.clip(cross, 0, 1)))


def find_overlaps(rig: Rig, pictures: Mapping[str, NDArray[np.uint8]]) -> list[Overlap]:
    """Matches of every two lenses that share some of the sphere; pictures: topic -> RGB."""
    for lens in rig.lenses:
        if lens.topic not in pictures:
            raise MtpanoError(f"lens '{lens.name}' has no picture: give one of {lens.topic}")
    quarter = sphere.pitch_matrix(math.pi / 2)
    found: dict[tuple[int, int], list[Overlap]] = {}
    for turn in (np.eye(3), quarter):
        for one in _matches(rig.turned(turn), pictures):
            back = Overlap(
                one.first,
                one.second,
                one.first_rays @ turn,
                one.second_rays @ turn,
                one.difference,
            )
            found.setdefault((one.first, one.second), []).append(back)
    return [_joined(parts) for parts in found.values()]


def _joined(parts: list[Overlap]) -> Overlap:
    return Overlap(
        parts[0].first,
        parts[0].second,
        np.concatenate([part.first_rays for part in parts]),
        np.concatenate([part.second_rays for part in parts]),
        float(np.mean([part.difference for part in parts])),
    )


def _matches(rig: Rig, pictures: Mapping[str, NDArray[np.uint8]]) -> list[Overlap]:
    drawn, seen = [], []
    level = np.abs(sphere.latitudes(_SIZE[0])) < _LEVEL
    for lens in rig.lenses:
        part = lens.part(pictures[lens.topic])
        one = view(lens, _SIZE, (part.shape[0], part.shape[1]), rig.distance)
        x, y = (np.nan_to_num(a, nan=-9).astype(np.float32) for a in (one.columns, one.rows))
        drawn.append(np.asarray(cv2.remap(part, x, y, cv2.INTER_LINEAR), np.uint8))
        seen.append((one.margin > 0.5) & level[:, None])
    overlaps = []
    for first, second in combinations(range(len(drawn)), 2):
        both = seen[first] & seen[second]
        if both.sum() < 500:
            continue
        a, b = (cv2.cvtColor(drawn[number], cv2.COLOR_RGB2GRAY) for number in (first, second))
        here, there = _followed(np.asarray(a, np.uint8), np.asarray(b, np.uint8), both)
        gain = max(float(a[both].mean()), 1.0) / max(float(b[both].mean()), 1.0)
        difference = float(np.abs(a[both].astype(float) - gain * b[both]).mean())
        overlaps.append(Overlap(first, second, _rays(here), _rays(there), difference))
    return overlaps


def _followed(
    a: NDArray[np.uint8], b: NDArray[np.uint8], both: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Corners of a, [n, 2], and where they are in b: the best normalised correlation of the patch
    around each, between pixels by parabolas."""
    whole = cv2.erode(both.astype(np.uint8), np.ones((2 * _PATCH + 1, 2 * _PATCH + 1), np.uint8))
    corners = cv2.goodFeaturesToTrack(a, _MOST, 0.005, 4, mask=whole)
    here, there = [], []
    for x, y in np.empty((0, 2), int) if corners is None else np.rint(corners[:, 0]).astype(int):
        top, left = y - _PATCH - _REACH, x - _PATCH - _REACH
        side = 2 * (_PATCH + _REACH) + 1
        if min(top, left) < 0 or top + side > a.shape[0] or left + side > a.shape[1]:
            continue
        patch = a[y - _PATCH : y + _PATCH + 1, x - _PATCH : x + _PATCH + 1]
        score = cv2.matchTemplate(
            b[top : top + side, left : left + side], patch, cv2.TM_CCOEFF_NORMED
        )
        _, best, _, (column, row) = cv2.minMaxLoc(score)
        if best < _ALIKE or not (0 < column < 2 * _REACH and 0 < row < 2 * _REACH):
            continue
        here.append((x, y))
        there.append(
            (
                x + column - _REACH + _summit(*score[row, column - 1 : column + 2]),
                y + row - _REACH + _summit(*score[row - 1 : row + 2, column]),
            )
        )
    return np.reshape(here, (-1, 2)).astype(np.float64), np.reshape(there, (-1, 2))


def _summit(before: float, best: float, after: float) -> float:
    """Where between -0.5 and 0.5 a parabola through three values has its summit."""
    bend = before - 2 * best + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0


def _rays(pixels: Floats) -> Floats:
    """Unit rays [n, 3] of pixels (column, row) whose centres are at integers."""
    lon = ((pixels[:, 0] + 0.5) / _SIZE[1] - 0.5) * 2 * np.pi
    lat = (0.5 - (pixels[:, 1] + 0.5) / _SIZE[0]) * np.pi
    return np.stack([np.cos(lat) * np.sin(lon), -np.sin(lat), np.cos(lat) * np.cos(lon)], -1)
