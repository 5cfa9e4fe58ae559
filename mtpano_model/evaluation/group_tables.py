"""What was measured of each group of frames: a line a group, in the report and in a card."""

from __future__ import annotations

from typing import Any

from mtpano_model.markdown import table

# (column, the place of its figure in a group's metrics, factor, digits, unit)
_COLUMNS: tuple[tuple[str, tuple[str, ...], float, int, str], ...] = (
    ("frames", ("frames",), 1, 0, ""),
    ("AbsRel", ("depth", "abs_rel"), 1, 3, ""),
    ("after one scale", ("median_aligned", "depth", "abs_rel"), 1, 3, ""),
    ("within 1.25", ("depth", "delta1"), 100, 1, " %"),
    ("normals mean", ("normals", "mean_deg"), 1, 1, "°"),
    ("mean IoU", ("semseg", "miou"), 100, 1, " %"),
    ("person IoU", ("classes", "iou", "person"), 100, 1, " %"),
    ("wall bow", ("surface", "wall_bow"), 100, 2, " %"),
    ("hanging", ("surface", "hanging"), 100, 2, " %"),
    ("step", ("surface", "step_width_px"), 1, 1, " px"),
    ("confidence", ("confidence", "mean"), 100, 0, " %"),
    ("within 10 %", ("confidence", "within_10_percent"), 100, 0, " %"),
)


def group_rows(groups: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of a table of groups by name; a column that nothing has is left out."""
    found = [
        [name, *(_cell(metrics, *column[1:]) for column in _COLUMNS)]
        for name, metrics in groups.items()
    ]
    heads = ["", *(column[0] for column in _COLUMNS)]
    kept = [i for i in range(len(heads)) if i == 0 or any(row[i] for row in found)]
    return [heads[i] for i in kept], [[row[i] for i in kept] for row in found]


def group_lines(metrics: dict[str, Any]) -> list[str]:
    """Markdown tables, one for each way of grouping, each after an empty line."""
    lines = []
    for family, groups in metrics.get("groups", {}).items():
        heads, rows = group_rows(groups)
        lines += ["", *table([family, *heads[1:]], rows)]
    return lines


def _cell(
    metrics: dict[str, Any], place: tuple[str, ...], factor: float, digits: int, unit: str
) -> str:
    value: Any = metrics
    for key in place:
        value = value.get(key) if isinstance(value, dict) else None
    return "" if value is None else f"{factor * value:.{digits}f}{unit}"
