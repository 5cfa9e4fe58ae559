"""A line chart over an angle as a picture, with nothing but OpenCV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from mtpano_model.inference import drawing
from mtpano_model.inference.drawing import Color, Rgb

LINE_COLORS: tuple[Color, ...] = (
    (31, 119, 180),
    (44, 140, 60),
    (214, 39, 40),
    (148, 103, 189),
    (230, 140, 20),
    (100, 80, 60),
    (20, 170, 180),
)
_WIDTH, _HEIGHT = 760, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 16, 60
_TICKS_DEG = (1, 2, 5, 10, 15, 30, 45, 90)  # between two of them on the x axis


def line_chart(
    x: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    *,
    y_range: tuple[float, float],
    x_title: str,
) -> Rgb:
    """Lines over common x values in degrees; y_range: (bottom, top); values outside are cut."""
    page = drawing.paper(_HEIGHT, _WIDTH)
    bottom, top = y_range
    left, right = _LEFT, _WIDTH - _RIGHT
    upper, lower = _TOP, _HEIGHT - _BOTTOM
    span = (max(x) - min(x)) or 1.0

    def place(a: float, b: float) -> tuple[int, int]:
        share = np.clip((b - bottom) / (top - bottom), 0, 1)
        return (
            round(left + (a - min(x)) / span * (right - left)),
            round(lower - share * (lower - upper)),
        )

    for value in np.linspace(bottom, top, 5):
        _, y = place(min(x), value)
        cv2.line(page, (left, y), (right, y), (222, 222, 218), 1)
        text = f"{value:.4g}"
        drawing.put_text(page, text, left - 10 - drawing.text_width(text, 15), y - 8, 15)
    for at in _ticks(min(x), max(x)):
        column, _ = place(at, bottom)
        text = f"{at:g}"
        drawing.put_text(page, text, column - drawing.text_width(text, 15) // 2, lower + 6, 15)
    drawing.put_text(page, x_title, left, lower + 32, 15, drawing.FAINT)
    entries: list[tuple[str, Color]] = []
    for (name, values), color in zip(lines.items(), LINE_COLORS, strict=False):
        points = np.array([place(a, b) for a, b in zip(x, values, strict=True)], np.int32)
        cv2.polylines(page, [points], False, color, 2, cv2.LINE_AA)
        entries.append((name, color))
    return np.concatenate([page, drawing.swatches(entries, _WIDTH)])


def _ticks(low: float, high: float) -> list[float]:
    """Round angles from low to high, at most nine."""
    step = next((step for step in _TICKS_DEG if (high - low) / step <= 8), _TICKS_DEG[-1])
    return list(np.arange(np.ceil(low / step) * step, high + 1e-6, step))
