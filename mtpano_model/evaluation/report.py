"""The files of `mtpano evaluate`: metrics.json, frames.csv, report.html and its pictures."""

from __future__ import annotations

import csv
import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mtpano_model.evaluation.charts import confusion_chart, sparsification_chart
from mtpano_model.evaluation.data_sets import Comparison
from mtpano_model.evaluation.group_tables import group_rows
from mtpano_model.evaluation.groups import down_of
from mtpano_model.evaluation.predictor import Predictor
from mtpano_model.evaluation.report_pictures import frame_sheet
from mtpano_model.evaluation.runner import RANKING, Outcome, ground_truth, predict
from mtpano_model.metrics.figures import Figures
from mtpano_model.whole_files import write_json

# (task, figure, how people call it, factor, unit)
ROWS = (
    ("depth", "abs_rel", "Depth AbsRel", 1, ""),
    ("depth", "sq_rel", "Depth SqRel", 1, " m"),
    ("depth", "rmse", "Depth RMSE", 1, " m"),
    ("depth", "rmse_log", "Depth RMSE log", 1, ""),
    ("depth", "delta1", "Depth within factor 1.25", 100, " %"),
    ("depth", "delta2", "Depth within factor 1.25²", 100, " %"),
    ("depth", "delta3", "Depth within factor 1.25³", 100, " %"),
    ("normals", "mean_deg", "Normals mean", 1, "°"),
    ("normals", "median_deg", "Normals median", 1, "°"),
    ("normals", "rmse_deg", "Normals RMSE", 1, "°"),
    ("normals", "within_11_25", "Normals within 11.25°", 100, " %"),
    ("normals", "within_22_5", "Normals within 22.5°", 100, " %"),
    ("normals", "within_30", "Normals within 30°", 100, " %"),
    ("surface", "wall_bow", "Wall bow over distance", 100, " %"),
    ("surface", "depth_to_normals_deg", "Depth's normals against predicted, median", 1, "°"),
    ("surface", "hanging", "Hanging points", 100, " %"),
    ("surface", "step_width_px", "Depth step, 10 to 90 %, of 1,024 columns", 1, " px"),
    ("surface", "steps_missed", "Depth steps missed", 100, " %"),
    ("confidence", "ause_abs_rel", "Confidence: AUSE by AbsRel", 1, ""),
    ("confidence", "ause_rmse", "Confidence: AUSE by RMSE", 1, ""),
    ("confidence", "mean", "Confidence: mean", 100, " %"),
    ("confidence", "within_10_percent", "Depth within 10 %", 100, " %"),
    ("semseg", "miou", "Mean IoU (protocol)", 100, " %"),
    ("semseg", "miou_common_classes", "Mean IoU, classes above 0.1 % of pixels", 100, " %"),
    ("semseg", "miou_all_classes", "Mean IoU, all classes that occur", 100, " %"),
    ("semseg", "pixel_accuracy", "Pixel accuracy", 100, " %"),
)
VARIANTS = (
    ("pooled", "all pixels"),
    ("per_image", "mean over frames"),
    ("cos_weighted", "by solid angle"),
    ("median_aligned", "one median scale a frame"),
)
_TASK_TITLES = {"depth": "depth", "normals": "normals", "semseg": "classes"}


def variant_figures(metrics: dict[str, Any], variant: str) -> dict[str, Figures]:
    """Figures by task of one variant of metrics.json; "pooled" is its top level."""
    return metrics if variant == "pooled" else metrics.get(variant, {})


def metric_rows(metrics: dict[str, Any]) -> list[list[str]]:
    """[name, one cell a variant] of every figure that was measured."""
    rows = []
    for task, name, title, factor, unit in ROWS:
        cells = []
        for variant, _ in VARIANTS:
            value = variant_figures(metrics, variant).get(task, {}).get(name)
            cells.append("" if value is None else f"{_short(factor * value)}{unit}")
        if any(cells):
            rows.append([title, *cells])
    return rows


def surface_of_truth(metrics: dict[str, Any]) -> str:
    """A sentence on what the truth itself has of what is counted as faults, or nothing."""
    surface = metrics.get("surface", {})
    words = []
    if "hanging_truth" in surface:
        words.append(f"{100 * surface['hanging_truth']:.2f} % of its points hang")
    if "step_width_truth_px" in surface:
        words.append(f"its depth steps take {surface['step_width_truth_px']:.1f} px")
    return f"By the same rules, of the truth itself {' and '.join(words)}." if words else ""


def _short(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}"


def write_report(
    out: Path,
    outcome: Outcome,
    comparison: Comparison,
    predictor: Predictor,
    about: dict[str, Any],
    pictures: int = 3,
) -> None:
    """Write everything into the folder `out`.

    about: facts of the run, also stored under "about" in metrics.json. pictures: this many best and
    worst frames a task are drawn (the model runs on them again, nothing was kept); 0 for none.
    """
    out.mkdir(parents=True, exist_ok=True)
    facts = {**about, "skipped": outcome.skipped}
    write_json(out / "metrics.json", {**outcome.metrics, "about": facts}, allow_nan=False)
    _write_frames(out / "frames.csv", outcome)
    sections = [_facts_table(facts), _figures_table(outcome.metrics), _seam(outcome.metrics)]
    sections += [_confidence_section(out, outcome.metrics), _groups_section(outcome.metrics)]
    if "classes" in outcome.metrics:
        confusion = outcome.evaluation.semseg.confusion
        confusion_chart(confusion, comparison.classes.names).savefig(out / "confusion.png")
        sections.append(_classes_section(outcome.metrics["classes"], comparison))
    if pictures:
        sections.append(_gallery(out, outcome, comparison, predictor, pictures))
    text = page("Evaluation", "".join(sections))  # names need not be UTF-8
    (out / "report.html").write_text(text, encoding="utf-8", errors="backslashreplace")


def _write_frames(path: Path, outcome: Outcome) -> None:
    columns = sorted({(t, n) for _, _, f in outcome.frames for t in f for n in f[t]})
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(["index", "name", *(f"{task}.{name}" for task, name in columns)])
        for index, name, figures in outcome.frames:
            cells = [figures.get(task, {}).get(key) for task, key in columns]
            writer.writerow([index, name, *cells])


# --- sections of the page ------------------------------------------------------------------------


def _facts_table(facts: dict[str, Any]) -> str:
    shown = {k: v for k, v in facts.items() if k != "skipped"}
    shown["skipped frames"] = len(facts["skipped"])
    rows = [[key.replace("_", " "), str(value)] for key, value in shown.items()]
    skipped = "".join(f"<li>{html.escape(reason)}</li>" for reason in facts["skipped"][:20])
    return table(rows, "facts") + (f"<ul>{skipped}</ul>" if skipped else "")


def _figures_table(metrics: dict[str, Any]) -> str:
    header = ["", *(title for _, title in VARIANTS)]
    return (
        "<h2>Figures</h2>"
        + table(metric_rows(metrics), "figures", header)
        + (f"<p>{surface_of_truth(metrics)}</p>")
    )


def _seam(metrics: dict[str, Any]) -> str:
    seam = metrics["seam"]
    if not seam:
        return ""
    words = []
    if "depth_jump_ratio" in seam:
        words.append(
            f"The predicted depth jumps {seam['depth_jump_ratio']:.3f} times as far across the "
            f"seam as between inner columns (the truth: {seam['truth_jump_ratio']:.3f})."
        )
    if "roll" in seam:
        roll = seam["roll"]
        words.append(
            f"Rolling the panorama changes depth by {100 * roll['depth_rel']:.2f} %, normals by "
            f"{roll['normals_deg']:.2f}° and {100 * roll['labels']:.2f} % of the labels."
        )
    return f"<h2>Seam</h2><p>{' '.join(words)}</p>"


def _confidence_section(out: Path, metrics: dict[str, Any]) -> str:
    if "sparsification" not in metrics:
        return ""
    sparsification_chart(metrics["sparsification"]).savefig(out / "sparsification.png")
    return (
        "<h2>Confidence</h2><p>The error that is left when the least confident pixels are taken "
        "away, as a share of that of all pixels; the oracle takes away the worst errors.</p>"
        '<img src="sparsification.png" alt="sparsification curves">'
    )


def _groups_section(metrics: dict[str, Any]) -> str:
    parts = []
    for family, groups in metrics.get("groups", {}).items():
        heads, rows = group_rows(groups)
        parts.append(f"<h2>By {html.escape(family)}</h2>{table(rows, 'figures', heads)}")
    return "".join(parts)


def _classes_section(classes: dict[str, Any], comparison: Comparison) -> str:
    rows = []
    order = sorted(comparison.classes.names, key=lambda name: -classes["share"][name])
    for name in order:
        value = classes["iou"][name]
        color = comparison.classes.palette[comparison.classes.names.index(name)]
        swatch = f'<i style="background:rgb{color}"></i>{html.escape(name)}'
        share = f"{100 * classes['share'][name]:.2f} %"
        bar = "" if value is None else f'<b style="width:{200 * value:.0f}px"></b>'
        rows.append([swatch, share, "does not occur" if value is None else f"{100 * value:.1f} %"])
        rows[-1].append(bar)
    ious = table(rows, "classes", ["class", "share of pixels", "IoU", ""], raw=True)
    picture = '<img src="confusion.png" alt="confusion matrix">'
    caption = "<p>Rows: true class; numbers: per cent of its pixels that were given each class.</p>"
    return f"<h2>Classes</h2>{ious}<h3>Confusion</h3>{caption}{picture}"


def _gallery(
    out: Path, outcome: Outcome, comparison: Comparison, predictor: Predictor, count: int
) -> str:
    figures = {index: (name, found) for index, name, found in outcome.frames}
    extremes = outcome.extremes(count)
    drawn = {i: "" for best, worst in extremes.values() for i in (*best, *worst)}
    (out / "pictures").mkdir(exist_ok=True)
    for index in drawn:
        rgb, truth = ground_truth(comparison.frames[index])
        prediction = predict(predictor, comparison, rgb)
        down = down_of(comparison.frames, index) if comparison.exact else None
        sheet = frame_sheet(rgb, prediction, truth, comparison.classes, down)
        name = figures[index][0].replace("/", "_")
        drawn[index] = f"pictures/{name}.jpg"
        sheet.savefig(out / drawn[index])
    parts = []
    for task, sides in extremes.items():
        key, _ = RANKING[task]
        for side, indices in zip(("Best", "Worst"), sides, strict=True):
            parts.append(f"<h3>{side} {_TASK_TITLES[task]}</h3>")
            for index in indices:
                name, found = figures[index]
                caption = f"{name}: {task} {key} {_short(found[task][key])}"
                parts.append(
                    f"<figure><figcaption>{html.escape(caption)}</figcaption>"
                    f'<a href="{html.escape(drawn[index])}">'
                    f'<img loading="lazy" src="{html.escape(drawn[index])}"></a></figure>'
                )
    return "<h2>Best and worst frames</h2>" + "".join(parts)


def table(
    rows: Iterable[Sequence[str]], name: str, header: Sequence[str] = (), raw: bool = False
) -> str:
    """An HTML table; cells are escaped unless `raw`. name: its CSS class."""

    def line(cells: Sequence[str], tag: str, trusted: bool) -> str:
        texts = (cell if trusted else html.escape(cell) for cell in cells)
        return "<tr>" + "".join(f"<{tag}>{text}</{tag}>" for text in texts) + "</tr>"

    head = line(header, "th", False) if header else ""
    return f'<table class="{name}">{head}{"".join(line(r, "td", raw) for r in rows)}</table>'


def page(title: str, body: str) -> str:
    """A whole HTML page."""
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>mtpano: {title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 1360px; margin: 2em auto; padding: 0 1em;
  color: #20222a; background: #fafaf8 }}
table {{ border-collapse: collapse; margin: 1em 0 }}
td, th {{ padding: .2em 1em .2em 0; text-align: left; border-bottom: 1px solid #ddd }}
.figures td:not(:first-child) {{ text-align: right; font-variant-numeric: tabular-nums }}
.classes i {{ display: inline-block; width: 1em; height: 1em; margin-right: .5em;
  vertical-align: -.15em }}
.classes b {{ display: inline-block; height: .8em; background: #18784a }}
img {{ max-width: 100% }} figure {{ margin: 0 0 1.5em }} figcaption {{ color: #666 }}
</style></head><body><h1>{title}</h1>
{body}
</body></html>
"""
