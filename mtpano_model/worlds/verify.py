"""Checking rendered views against the plans that they were made from.

Everything is computed from the stored files, so with their rounding, and by the formulas of the
optical frame; no renderer is needed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import project, rays
from mtpano_model.pictures.files import read_picture, read_stored
from mtpano_model.pictures.normals import decode_normals
from mtpano_model.pictures.truth_files import joined_depth
from mtpano_model.worlds import labels
from mtpano_model.worlds.output import PLANS, read_entries

# Degrees; floors and ceilings alone hold the median, so a share of all tells of swapped axes.
_ASTRAY, _MOST_ASTRAY = 20.0, 0.1
_NEAR_PLANE = 0.01  # metres: what lies farther off belongs to skirtings, beams, kerbs, stairs
_FLAT = 0.001
_ROUNDING = 0.0005  # depth is stored in millimetres


@dataclass
class _Found:
    """Distances to the nearest plane by surface, and counts of the other checks."""

    off: dict[str, list[NDArray]] = field(
        default_factory=lambda: {"floor": [], "wall": [], "ceiling": []}
    )
    angles: list[float] = field(default_factory=list)
    astray: list[float] = field(default_factory=list)
    away: int = 0
    hits: int = 0
    mirrored: int = 0
    objects: int = 0
    pole_spread: list[float] = field(default_factory=list)
    seam: list[float] = field(default_factory=list)


def verify(folder: Path, limit: int | None = None) -> tuple[str, bool]:
    """A report on the views of a folder, and whether every check passed.

    Floors, walls and ceilings are flat to 1 mm; stored normals agree with those of the depth; pixel
    centres and left and right are where the formulas say; all columns agree at the poles; the
    picture has no step where its ends meet. MtpanoError if the folder holds no views.
    """
    entries = [e for e in read_entries(folder) if (folder / PLANS / f"{e['room']}.json").is_file()]
    if limit is not None:
        entries = entries[:: max(1, len(entries) // limit)][:limit]
    if not entries:
        raise MtpanoError(
            f"{folder} has no view of a finished world yet: render it to its end first"
        )
    found = _Found()
    for entry in entries:
        plan = json.loads((folder / PLANS / f"{entry['room']}.json").read_text(encoding="utf-8"))
        if "rooms" in plan:
            _check_view(folder, entry, plan, found)
    return _report(len(entries), found)


def _check_view(folder: Path, entry: dict[str, Any], plan: dict[str, Any], found: _Found) -> None:
    depth, normals, semantic, rgb = _read(folder, entry["name"])
    axes, at = np.array(entry["world_from_camera"]), np.array(entry["camera_position_m"])
    ray = rays(*depth.shape).astype(np.float64)
    points = depth[..., None] * ray
    world = points @ axes.T + at
    known = depth > 0
    _check_planes(world, semantic, known, plan, found)
    _check_normals(points, normals, ray, known, found)
    _check_objects(semantic, axes, at, plan, found)
    for row in (0, -1):
        if known[row].all() and (semantic[row] == semantic[row, 0]).all():
            found.pole_spread.append(float(np.ptp(depth[row]) / depth[row].mean()))
    step = np.abs(np.diff(np.concatenate((rgb, rgb[:, :1]), 1).astype(float), axis=1)).mean((0, 2))
    found.seam.append(float(step[-1] / max(step[:-1].mean(), 1e-6)))


def _read(folder: Path, name: str) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    def load(suffix: str) -> NDArray[Any]:
        return read_stored(folder / f"{name}{suffix}.png")

    far = load("_far") if (folder / f"{name}_far.png").exists() else None
    depth = joined_depth(load("_depth"), far).astype(np.float64)
    normals, _ = decode_normals(load("_normal")[..., ::-1])
    return depth, normals, load("_semantic"), read_picture(folder / f"{name}.jpg").rgb


def _check_planes(
    world: NDArray,
    semantic: NDArray,
    known: NDArray,
    plan: dict[str, Any],
    found: _Found,
) -> None:
    heights: list[NDArray] = []
    walls: list[NDArray] = []
    ceiling = world[known & (semantic == labels.CEILING)]
    wall = world[known & (semantic == labels.WALL)]
    for room in plan["rooms"]:
        corners = np.array(room["polygon"])
        middle = (corners.min(0) + corners.max(0)) / 2
        if room["height"] is not None:
            slope = np.array(room["slope"])
            above = room["height"] + (ceiling[:, :2] - middle) @ slope
            heights.append(np.abs(ceiling[:, 2] - above) / np.sqrt(1 + slope @ slope))
        for a, b in zip(corners, np.roll(corners, -1, 0), strict=True):
            along = (b - a) / np.hypot(*(b - a))
            walls.append(np.abs((wall[:, :2] - a) @ (-along[1], along[0])))
    floor = np.abs(world[known & (semantic == labels.FLOOR)][:, 2])
    found.off["floor"].append(floor)
    found.off["wall"].append(np.min(walls, 0) if walls else np.empty(0))
    if heights:
        found.off["ceiling"].append(np.min(heights, 0))


def _check_normals(
    points: NDArray, normals: NDArray, ray: NDArray, known: NDArray, found: _Found
) -> None:
    """Against cross products of neighbours, where the surface is smooth."""
    across, down = points[1:-1, 2:] - points[1:-1, :-2], points[2:, 1:-1] - points[:-2, 1:-1]
    n = np.cross(across, down)
    n /= np.maximum(np.linalg.norm(n, axis=-1, keepdims=True), 1e-12)
    n *= -np.sign((n * ray[1:-1, 1:-1]).sum(-1, keepdims=True))
    depth = np.linalg.norm(points, axis=-1)
    center = depth[1:-1, 1:-1]
    bend = np.maximum(
        np.abs(depth[1:-1, 2:] + depth[1:-1, :-2] - 2 * center),
        np.abs(depth[2:, 1:-1] + depth[:-2, 1:-1] - 2 * center),
    )
    whole = (
        known[1:-1, 1:-1] & known[1:-1, 2:] & known[1:-1, :-2] & known[2:, 1:-1] & known[:-2, 1:-1]
    )
    smooth = whole & (bend < 0.02 * center)
    stored = normals[1:-1, 1:-1]
    stored = stored / np.maximum(np.linalg.norm(stored, axis=-1, keepdims=True), 1e-6)
    angle = np.degrees(np.arccos(np.clip((stored * n).sum(-1), -1, 1)))[smooth]
    if angle.size:
        found.angles.append(float(np.median(angle)))
        found.astray.append(float((angle > _ASTRAY).mean()))
    found.away += int((((normals * ray).sum(-1) > 0.01) & known).sum())


def _check_objects(
    semantic: NDArray, axes: NDArray, at: NDArray, plan: dict[str, Any], found: _Found
) -> None:
    """A class that one model alone has must be seen where it is, not at the mirrored place."""
    counts: dict[int, int] = {}
    for model in plan["models"]:
        counts[model["label"]] = counts.get(model["label"], 0) + 1
    height, width = semantic.shape
    for model in plan["models"]:
        label = model["label"]
        if counts[label] > 1 or label in _BUILT or not (semantic == label).any():
            continue
        box = np.array(model["box"])
        column, row = project(axes.T @ ((box[:3] + box[3:]) / 2 - at), height, width)
        j, i = int(column) % width, min(int(row), height - 1)
        if not 0.06 * width < abs(j - width / 2) < 0.44 * width:
            continue
        found.objects += 1
        found.hits += _sees(semantic, i, j, label)
        found.mirrored += _sees(semantic, i, width - 1 - j, label)


# Classes that the generator also builds of blocks, so that a model is not their only source.
_BUILT = {
    labels.WALL,
    labels.FLOOR,
    labels.CABINET,
    labels.TABLE,
    labels.DOOR,
    labels.WINDOW,
    labels.PICTURE,
    labels.COUNTER,
    labels.DESK,
    labels.SHELVES,
    labels.CURTAIN,
    labels.PILLOW,
    labels.MIRROR,
    labels.MAT,
    labels.CEILING,
    labels.BOOKS,
    labels.PAPER,
    labels.BOX,
    labels.BOARD,
    labels.SINK,
    labels.LAMP,
    labels.STRUCTURE,
    labels.FURNITURE,
    labels.PROP,
    labels.CLOTHES,
}


def _sees(semantic: NDArray, i: int, j: int, label: int) -> bool:
    return bool((semantic[max(0, i - 2) : i + 3, max(0, j - 2) : j + 3] == label).any())


def _report(count: int, found: _Found) -> tuple[str, bool]:
    lines, good = [f"{count} views"], True

    def tell(text: str, is_good: bool) -> None:
        nonlocal good
        good &= is_good
        lines.append(f"{'ok  ' if is_good else 'BAD '} {text}")

    for name, parts in found.off.items():
        off = np.concatenate(parts) if parts else np.empty(0)
        near = off[off < _NEAR_PLANE]
        if len(near):
            flat = float((near <= _FLAT + _ROUNDING).mean())
            share, median = 100 * len(near) / len(off), 1000 * float(np.median(near))
            tell(
                f"{name}: {share:.1f} % of its pixels lie on a plane of the plan, "
                f"{100 * flat:.2f} % of these to 1 mm, median {median:.2f} mm",
                flat > 0.97 and len(near) > 0.4 * len(off),
            )
    if found.angles:
        tell(
            f"normals against depth: median angle {_middle(found.angles):.2f} degrees, worst view "
            f"{max(found.angles):.2f}; {100 * _middle(found.astray):.1f} % are off by more than "
            f"{_ASTRAY:.0f} degrees",
            _middle(found.angles) < 2 and _middle(found.astray) < _MOST_ASTRAY,
        )
    tell(f"normals that face away: {found.away} pixels", found.away == 0)
    if found.objects:
        tell(
            f"left and right: of {found.objects} single objects {found.hits} are seen where they "
            f"stand, {found.mirrored} at the mirrored place",
            found.hits > 2 * found.mirrored,
        )
    if found.pole_spread:
        tell(
            "poles: the depth along the first or last row differs by "
            f"{100 * _middle(found.pole_spread):.2f} % (median)",
            _middle(found.pole_spread) < 0.02,
        )
    if found.seam:
        tell(
            f"seam: the step between last and first column is {_middle(found.seam):.2f} times that "
            "between other columns (median)",
            _middle(found.seam) < 1.5,
        )
    return "\n".join(lines), good


def _middle(values: Sequence[float]) -> float:
    return float(np.median(values))
