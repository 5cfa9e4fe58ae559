"""Horizontal bars as SVG text: small, sharp, and no library needed."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

LABELS, BARS, NUMBERS = 270, 460, 60
BAR, GAP, TOP = 14, 12, 60
FONT = 'font-family="sans-serif" font-size="12"'


def bar_chart(
    title: str, groups: Mapping[str, Mapping[str, float]], colors: Mapping[str, str]
) -> str:
    """One group of bars a row; `colors` gives the series, their order and their colours."""
    longest = max((value for group in groups.values() for value in group.values()), default=1.0)
    parts = [text(16, 24, title, size=16)]
    x = 16
    for name, color in colors.items():
        parts += [rectangle(x, 34, 12, 12, color), text(x + 18, 45, name)]
        x += 90
    y = TOP
    for label, group in groups.items():
        height = BAR * len(colors)
        parts.append(text(LABELS - 8, y + height / 2 + 4, label, anchor="end"))
        for name, color in colors.items():
            if name in group:
                width = BARS * group[name] / longest
                parts.append(rectangle(LABELS, y, width, BAR - 2, color))
                parts.append(text(LABELS + width + 6, y + BAR - 3, f"{group[name]:g}"))
            y += BAR
        y += GAP
    width = LABELS + BARS + NUMBERS
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}">',
            rectangle(0, 0, width, y, "#ffffff"),
            *parts,
            "</svg>\n",
        ]
    )


def rectangle(x: float, y: float, width: float, height: float, color: str) -> str:
    """A filled rectangle."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:.1f}" height="{height:g}" fill="{color}"/>'


def text(x: float, y: float, words: str, size: int = 12, anchor: str = "start") -> str:
    """One line of text."""
    font = FONT.replace('"12"', f'"{size}"')
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" {font}>{escape(words)}</text>'
