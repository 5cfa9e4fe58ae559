"""The model card's numbers: a table that `mtpano evaluate` writes between two markers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mtpano_model.errors import MtpanoError
from mtpano_model.evaluation.group_tables import group_lines
from mtpano_model.evaluation.report import VARIANTS, metric_rows, surface_of_truth
from mtpano_model.markdown import table


def update_card(path: Path, key: str, metrics: dict[str, Any]) -> None:
    """Replace what stands between the card's markers of `key` by the table of `metrics`.

    The markers are `<!-- metrics:KEY -->` and `<!-- /metrics:KEY -->`, each on a line of its own;
    all else in the file stays. MtpanoError where they are missing.
    """
    before, behind = split_card(path, key)
    path.write_text(f"{before}\n{metric_table(metrics)}\n{behind}", encoding="utf-8")


def split_card(path: Path, key: str) -> tuple[str, str]:
    """The card's text up to the table of `key`, and behind it; each has its marker.

    MtpanoError unless there is one place for the table.
    """
    begin, end = f"<!-- metrics:{key} -->", f"<!-- /metrics:{key} -->"
    if not path.is_file():
        raise MtpanoError(f"model card {path} does not exist: give an existing Markdown file")
    text = path.read_text(encoding="utf-8")
    places = list(re.finditer(re.escape(begin) + r"\n.*?" + re.escape(end), text, re.DOTALL))
    if len(places) != 1:
        raise MtpanoError(
            f"model card {path} has not exactly one place for these numbers: put the lines "
            f"'{begin}' and '{end}' where they belong"
        )
    first, last = places[0].span()
    return text[:first] + begin, end + text[last:]


def metric_table(metrics: dict[str, Any]) -> str:
    """Markdown: what was measured, the table of figures, the classes' IoU, the seam."""
    about = metrics["about"]
    finish = about.get("depth_finish")
    finished = "" if finish is None else f", depth_finish {finish}"
    lines = [
        f"{about['frames']} frames of {about['data']} (split: {about['split']}), protocol "
        f"{about['protocol']}, {about['engine']}{finished}, model revision "
        f"{about.get('revision', 'unknown')}.",
        "",
        *table(["figure", *(title for _, title in VARIANTS)], metric_rows(metrics)),
    ]
    if surface_of_truth(metrics):
        lines += ["", surface_of_truth(metrics)]
    lines += group_lines(metrics)
    if "classes" in metrics:
        found = {k: v for k, v in metrics["classes"]["iou"].items() if v is not None}
        ious = ", ".join(f"{name} {100 * value:.1f}" for name, value in found.items())
        lines += ["", f"IoU by class, per cent: {ious}."]
    seam = metrics.get("seam", {})
    if "depth_jump_ratio" in seam:
        lines += [
            "",
            f"Depth jump across the seam, against the mean jump between inner columns: "
            f"{seam['depth_jump_ratio']:.3f} (ground truth {seam['truth_jump_ratio']:.3f}).",
        ]
    return "\n".join(lines)
