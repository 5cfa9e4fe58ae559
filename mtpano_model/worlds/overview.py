"""An overview of a rendered folder: a sheet of its views, and histograms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.drawing import canvas
from mtpano_model.drawing.canvas import Rgb
from mtpano_model.geometry.sphere import solid_angles
from mtpano_model.markdown import table
from mtpano_model.pictures.files import read_picture, read_stored, write_picture
from mtpano_model.worlds.output import read_entries, writable

_COLUMNS, _WIDTH = 6, 320
_BINS = 40
_COLORS = ((31, 119, 180), (230, 140, 20))
# quantity: (unit, lowest and highest shown, logarithmic)
_QUANTITIES = {
    "depth": ("m", 0.1, 100.0, True),
    "floor area of the room": ("m2", 0.5, 2000.0, True),
    "ceiling": ("m", 2.0, 12.0, False),
    "camera height": ("m", 0.0, 2.4, False),
    "classes in a view": ("", 0.0, 30.0, False),
}


def overview(folder: Path, beside: Path | None = None, count: int = 48) -> str:
    """Write FOLDER/overview.jpg and FOLDER/spread.png; returns percentiles as a Markdown table.

    beside: another folder of rooms to compare with. MtpanoError if there is no index.
    """
    entries = read_entries(folder)
    spreads = [(folder.name, _spread(folder, entries))]
    if beside is not None:
        spreads.append((beside.name, _spread(beside, read_entries(beside))))
    with writable(folder):
        write_picture(folder / "overview.jpg", sheet(folder, entries, count))
        write_picture(folder / "spread.png", histograms(spreads))
    return _table(spreads)


def sheet(folder: Path, entries: list[dict[str, Any]], count: int) -> Rgb:
    """Up to `count` views, kind by kind in turn, six in a row."""
    chosen = _in_turn(entries, count)
    cells = []
    for entry in chosen:
        size = (_WIDTH, _WIDTH // 2)
        rgb = read_picture(folder / f"{entry['name']}.jpg").rgb
        small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        cells.append(np.asarray(small, np.uint8))
    blank = canvas.paper(_WIDTH // 2, _WIDTH)
    cells += [blank] * (-len(cells) % _COLUMNS)
    rows = [np.hstack(cells[i : i + _COLUMNS]) for i in range(0, len(cells), _COLUMNS)]
    return np.vstack(rows)


def _in_turn(entries: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """One view of each kind after the other, each from another world while there are some."""
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for entry in sorted(entries, key=lambda e: (e["name"].rsplit("-", 1)[-1], e["name"])):
        by_kind.setdefault(entry.get("kind", entry.get("theme", "")), []).append(entry)
    chosen: list[dict[str, Any]] = []
    while len(chosen) < min(count, len(entries)):
        for kind in sorted(by_kind):
            if by_kind[kind] and len(chosen) < count:
                chosen.append(by_kind[kind].pop(0))
    return sorted(chosen, key=lambda e: (e.get("kind", ""), e["name"]))


def _spread(folder: Path, entries: list[dict[str, Any]]) -> dict[str, tuple[NDArray, NDArray]]:
    """Values and weights of each quantity; depth counts by solid angle, where it is known."""
    spread: dict[str, tuple[NDArray, NDArray]] = {}
    depths, weights, classes = [], [], []
    for entry in entries:
        stem = folder / entry["name"]
        depth = read_stored(stem.with_name(f"{stem.name}_depth.png"))
        semantic = read_stored(stem.with_name(f"{stem.name}_semantic.png"))
        small = depth[::4, ::4]
        angle = np.broadcast_to(solid_angles(*depth.shape)[::4], small.shape)
        depths.append(small[small > 0] / 1000)
        weights.append(angle[small > 0])
        ids, pixels = np.unique(semantic, return_counts=True)
        classes.append(int(((ids > 0) & (pixels > 0.0005 * semantic.size)).sum()))
    spread["depth"] = np.concatenate(depths), np.concatenate(weights)
    for quantity, key in (
        ("floor area of the room", "floor_area_m2"),
        ("ceiling", "ceiling_m"),
        ("camera height", "camera_height_m"),
    ):
        values = np.array([e[key] for e in entries if e.get(key) is not None], np.float64)
        spread[quantity] = values, np.ones(len(values))
    spread["classes in a view"] = np.array(classes, np.float64), np.ones(len(classes))
    return spread


def histograms(spreads: Sequence[tuple[str, dict[str, tuple[NDArray, NDArray]]]]) -> Rgb:
    """One panel a quantity; the sets as outlines of one area."""
    width, height, margin = 620, 150, 50
    page = canvas.paper(len(_QUANTITIES) * (height + 60) + 40, width + 2 * margin)
    at = margin
    for (name, _), color in zip(spreads, _COLORS, strict=False):
        at = canvas.put_text(page, name, at, 8, color=color) + 30
    for number, (quantity, (unit, low, high, is_log)) in enumerate(_QUANTITIES.items()):
        top = 40 + number * (height + 60)
        bottom = top + 22 + height
        label = f"{quantity} ({unit})" if unit else quantity
        canvas.put_text(page, label, margin, top)
        edges = np.geomspace(low, high, _BINS + 1) if is_log else np.linspace(low, high, _BINS + 1)
        shares = [_shares(*spread[quantity], edges) for _, spread in spreads]
        peak = max(float(s.max()) for s in shares) or 1.0
        for share, color in zip(shares, _COLORS, strict=False):
            x = margin + np.arange(_BINS + 1) * width / _BINS
            y = bottom - np.append(share, share[-1]) / peak * height
            steps = np.stack((np.repeat(x, 2)[1:-1], np.repeat(y[:-1], 2)), 1)
            cv2.polylines(page, [np.rint(steps).astype(np.int32)], False, color, 2, cv2.LINE_AA)
        cv2.line(page, (margin, bottom), (margin + width, bottom), canvas.INK, 1)
        for share in np.linspace(0, 1, 6):
            value = low * (high / low) ** share if is_log else low + (high - low) * share
            x_tick = int(margin + share * width)
            canvas.put_text(page, f"{value:.3g}", x_tick - 10, bottom + 4, 14)
    return page


def _shares(values: NDArray, weights: NDArray, edges: NDArray) -> NDArray[np.float64]:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges, weights=weights)
    return np.asarray(counts / max(float(weights.sum()), 1e-12))


def _table(spreads: Sequence[tuple[str, dict[str, tuple[NDArray, NDArray]]]]) -> str:
    rows = []
    for quantity, (unit, *_) in _QUANTITIES.items():
        for name, spread in spreads:
            values, weights = spread[quantity]
            order = np.argsort(values)
            share = np.cumsum(weights[order]) / max(float(weights.sum()), 1e-12)
            found = [values[order][np.searchsorted(share, q)] for q in (0.05, 0.5, 0.95)]
            figures = (f"{v:.3g}" for v in (*found, values.max()))
            rows.append([f"{quantity} {unit}", name, *figures])
    return "\n".join(table(["quantity", "set", "5 %", "50 %", "95 %", "most"], rows))
