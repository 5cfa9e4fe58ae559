"""Charts of the reports, drawn with matplotlib: lines, bars, picture tiles, confusion matrix.

Every function gives a figure; `Figure.savefig` writes it in the format that the file's name says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mtpano_model.pictures.resize import resize_nearest

Rgb = NDArray[np.uint8]
# (title, picture [H, W, 3])
Tile = tuple[str, Rgb]

_DPI = 100
TILE, _TITLE, _GAP = (220, 440), 26, 8  # pixels
_ERRORS = {"abs_rel": "AbsRel", "rmse": "RMSE"}
_RIGHT, _WRONG = (24, 120, 70), (190, 40, 40)


def line_chart(
    x: Sequence[float], lines: Mapping[str, Sequence[float]], x_title: str, y_title: str
) -> Figure:
    """Lines by name over common x values."""
    figure = Figure((7.6, 4.4), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    for name, values in lines.items():
        axes.plot(x, values, label=name)
    axes.set(xlabel=x_title, ylabel=y_title)
    axes.grid(alpha=0.3)
    if lines:
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def sparsification_chart(curves: Mapping[str, Any]) -> Figure:
    """The error left over the share of pixels taken away, and the oracle's beside it.

    curves: of metrics.json, "removed", and by figure "model" and "oracle", relative to the error of
    all pixels.
    """
    lines = {
        f"{_ERRORS[name]}, by {who}": curve[side]
        for name, curve in curves.items()
        if name != "removed"
        for side, who in (("model", "confidence"), ("oracle", "oracle"))
    }
    return line_chart(curves["removed"], lines, "share of pixels taken away", "error left")


def tiles(
    rows: Sequence[Sequence[Tile]], legend: Mapping[str, tuple[int, int, int]] = {}
) -> Figure:
    """Pictures of a panorama's shape in rows, each with its title above it.

    legend: names and their colours (RGB, 0..255), shown below.
    """
    # Pictures and words without axes: a grid of those takes a second for every frame.
    height, width = TILE[0] + _TITLE, TILE[1] + _GAP
    foot = 80 if legend else 0
    full = len(rows) * height + foot, max(map(len, rows)) * width
    figure = Figure((full[1] / _DPI, full[0] / _DPI), dpi=_DPI)
    for i, row in enumerate(rows):
        for j, (title, picture) in enumerate(row):
            bottom = full[0] - (i + 1) * height
            tile = resize_nearest(picture, TILE)
            figure.figimage(tile, j * width, bottom, origin="upper")
            x, y = j * width / full[1], (bottom + TILE[0] + 6) / full[0]
            figure.text(x, y, title, fontsize=10)
    patches = [
        Patch(facecolor=f"#{red:02x}{green:02x}{blue:02x}", edgecolor="grey", label=name)
        for name, (red, green, blue) in legend.items()
    ]
    if patches:
        figure.legend(handles=patches, loc="lower left", ncols=9, fontsize=8)
    return figure


def confusion_chart(confusion: NDArray[np.floating], names: Sequence[str]) -> Figure:
    """Rows: true class, shares of its pixels; columns: predicted class. Classes that occur only.

    confusion: [C, C or C + 1] counts, true class by predicted class; a last column is of pixels
    without an answer. The darker a cell the larger, green where it is right and red where wrong.
    """
    count = len(names)
    shown = (confusion.sum(1) > 0) | (confusion[:, :count].sum(0) > 0)
    matrix = confusion[:, :count][shown][:, shown]
    share = matrix / np.maximum(confusion.sum(1)[shown], 1)[:, None]
    kept = [name for name, flag in zip(names, shown, strict=True) if flag]
    strength = np.sqrt(share)[..., None]
    full = np.where(np.eye(len(kept), dtype=bool)[..., None], _RIGHT, _WRONG)
    side = 1.5 + 0.42 * len(kept)
    figure = Figure((side, side), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    axes.imshow((255 * (1 - strength) + full * strength).round().astype(np.uint8))
    places = range(len(kept))
    axes.set_xticks(places, kept, rotation=90)
    axes.set_yticks(places, kept)
    axes.xaxis.tick_top()
    for i, j in zip(*np.nonzero(share >= 0.005), strict=True):
        color = "white" if strength[i, j] > 0.6 else "black"
        axes.text(j, i, f"{100 * share[i, j]:.0f}", ha="center", va="center", color=color)
    return figure


def bar_chart(
    title: str, groups: Mapping[str, Mapping[str, float]], colors: Mapping[str, str]
) -> Figure:
    """Horizontal bars, one group a row from the top; `colors` gives the series and their order."""
    thick = 0.8 / len(colors)
    figure = Figure((7.9, 0.9 + 0.45 * len(groups)), dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    for number, (name, color) in enumerate(colors.items()):
        places = [(i, group[name]) for i, group in enumerate(groups.values()) if name in group]
        rows = [i + (number - (len(colors) - 1) / 2) * thick for i, _ in places]
        bars = axes.barh(rows, [value for _, value in places], thick, color=color, label=name)
        axes.bar_label(bars, fmt="{:g}", padding=3)
    axes.set_yticks(range(len(groups)), list(groups))
    axes.invert_yaxis()
    axes.set_title(title, loc="left")
    axes.legend()
    axes.spines[["top", "right"]].set_visible(False)
    return figure
