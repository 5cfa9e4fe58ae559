"""Text, colour legends and scales on RGB pictures, with OpenCV alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
Color = tuple[int, int, int]

PAPER: Color = (250, 250, 248)
INK: Color = (32, 34, 40)
FAINT: Color = (118, 122, 130)
LINE = 28  # rows of a line of text with its space
_TEXT = 18

# Glyphs are drawn this many times too large and averaged down: the library's own anti-aliasing
# leaves small letters ragged.
_OVERSAMPLING = 4


def paper(height: int, width: int) -> Rgb:
    """An empty sheet, uint8 [height, width, 3] RGB."""
    return np.full((height, width, 3), PAPER, np.uint8)


def put_text(
    picture: Rgb, text: str, x: int, y: int, height: int = _TEXT, color: Color = INK
) -> int:
    """Write `text` into `picture` [H, W, 3], in place; returns the column behind the last letter.

    x, y: column and row of the line's top left, in pixels. height: rows of the letters. What does
    not fit in the picture is cut off.
    """
    coverage = _coverage(_drawable(text), height)
    rows = min(coverage.shape[0], picture.shape[0] - y)
    columns = min(coverage.shape[1], picture.shape[1] - x)
    if rows > 0 and columns > 0:
        place = picture[y : y + rows, x : x + columns]
        alpha = coverage[:rows, :columns, None]
        place[:] = np.rint(place * (1 - alpha) + np.array(color, np.float32) * alpha)
    return x + coverage.shape[1]


def text_width(text: str, height: int = _TEXT) -> int:
    """The width in pixels that `put_text` needs."""
    return _coverage(_drawable(text), height).shape[1]


def _drawable(text: str) -> str:
    """One line of valid Unicode: OpenCV ends the process where a file name is no UTF-8."""
    return " ".join(text.encode("utf-8", "replace").decode().split())


@lru_cache(maxsize=256)
def _coverage(text: str, height: int) -> NDArray[np.float32]:
    """How much of each pixel the letters cover, [height, width], 0..1."""
    font = cv2.FONT_HERSHEY_SIMPLEX
    scale = height * _OVERSAMPLING / 36
    thickness = max(1, round(1.7 * scale))
    (width, _), _ = cv2.getTextSize(text, font, scale, thickness)
    columns = -(-(width + 2 * thickness) // _OVERSAMPLING)
    large = np.zeros((height * _OVERSAMPLING, columns * _OVERSAMPLING), np.uint8)
    baseline = round(0.76 * height * _OVERSAMPLING)
    cv2.putText(large, text, (thickness, baseline), font, scale, 255, thickness, cv2.LINE_AA)
    small = cv2.resize(large, (columns, height), interpolation=cv2.INTER_AREA)
    return np.divide(small, np.float32(255), dtype=np.float32)


def nice_limit(value: float) -> float:
    """The next round number from `value` up, for the end of a scale: 1, 1.5, 2, 3, 4, 5, 6, 8."""
    if not np.isfinite(value) or value <= 0:
        return 1.0
    decade = 10.0 ** np.floor(np.log10(value))
    steps = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
    return float(next(step for step in steps if step * decade >= value * (1 - 1e-9)) * decade)


def color_bar(colors: Rgb, limit: float, unit: str, width: int) -> Rgb:
    """A horizontal scale from 0 to `limit` with its numbers below, [38, width, 3] RGB.

    colors: [N, 3], from 0 to `limit`. unit: written behind the last number.
    """
    thick, margin = 14, 30
    bar = paper(thick + 24, width)
    index = np.linspace(0, len(colors) - 1, width - 2 * margin).round().astype(int)
    bar[:thick, margin : width - margin] = colors[index]
    for part in range(5):
        column = margin + round(part / 4 * (width - 2 * margin - 1))
        bar[thick : thick + 4, column] = INK
        number = f"{limit * part / 4:.3g}" + (f" {unit}" if part == 4 else "")
        put_text(bar, number, column - text_width(number, 16) // 2, thick + 5, 16)
    return bar


def swatches(entries: Sequence[tuple[str, Color]], width: int) -> Rgb:
    """A legend of coloured squares with their words, in as many lines as needed, [h, width, 3]."""
    lines: list[list[tuple[str, Color]]] = [[]]
    used = 0
    for text, color in entries:
        needed = 24 + text_width(text) + 20
        if used + needed > width + 20 and lines[-1]:
            lines.append([])
            used = 0
        lines[-1].append((text, color))
        used += needed
    picture = paper(len(lines) * LINE, width)
    for number, line in enumerate(lines):
        x, y = 0, number * LINE
        for text, color in line:
            cv2.rectangle(picture, (x, y + 5), (x + 16, y + 21), color, cv2.FILLED)
            cv2.rectangle(picture, (x, y + 5), (x + 16, y + 21), FAINT, 1)
            x = put_text(picture, text, x + 24, y + 5) + 20
    return picture
