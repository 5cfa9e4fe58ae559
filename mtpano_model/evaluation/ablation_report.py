"""The ablation's report: a table with spreads, and a verdict on each of the paper's claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mtpano_model.evaluation import ablation
from mtpano_model.evaluation.ablation import AblationConfig, Result, Variant
from mtpano_model.evaluation.ablation_times import Times
from mtpano_model.markdown import table
from mtpano_model.metrics.evaluation import delta_mtl
from mtpano_model.whole_files import write_json

Figures = dict[str, dict[str, float]]

# (task, figure, title, factor, digits, whether more is better)
COLUMNS = (
    ("semseg", "miou", "mIoU %", 100, 2, True),
    ("depth", "abs_rel", "AbsRel", 1, 4, False),
    ("depth", "rmse", "RMSE m", 1, 4, False),
    ("depth", "delta1", "δ1 %", 100, 2, True),
    ("normals", "mean_deg", "normals °", 1, 3, False),
    ("normals", "within_11_25", "< 11.25° %", 100, 2, True),
)
SINGLE = Variant("single", "Single-task networks")  # the three, side by side

# (claim, with it, without it)
CLAIMS = (
    ("Plain multi-task learning costs against single tasks", ablation.PLAIN, SINGLE),
    ("Geometry-aware modulation helps", ablation.MODULATION, ablation.PLAIN),
    ("The ERP token mixer helps", ablation.MIXER, ablation.MODULATION),
    ("A bridge between the streams helps", ablation.BRIDGE, ablation.MIXER),
    ("Truncating its gradients helps", ablation.TRUNCATION, ablation.BRIDGE),
    ("Auxiliary tasks help", ablation.FULL, ablation.TRUNCATION),
    ("Circular padding beats zeros", ablation.FULL, ablation.ZERO_PADDING),
    ("The full network beats single tasks", ablation.FULL, SINGLE),
    ("The full network beats plain multi-task learning", ablation.FULL, ablation.PLAIN),
    ("Half of the rooms teach more than a quarter", ablation.HALF, ablation.QUARTER),
    ("All rooms teach more than half of them", ablation.FULL, ablation.HALF),
)


@dataclass(frozen=True)
class Row:
    """One variant over its seeds: figures by seed, parameters, times where they were measured."""

    variant: Variant
    figures: dict[int, Figures]
    parameters: int
    times: Times | None


def rows_of(results: Sequence[Result], times: Mapping[str, Times] = {}) -> list[Row]:
    """Rows of the table; the single-task networks become one, which needs all three.

    times: by variant name.
    """
    by_name: dict[str, list[Result]] = {}
    for result in results:
        by_name.setdefault(result.variant, []).append(result)
    rows = []
    names = [variant.name for variant in ablation.SINGLE]
    if all(name in by_name for name in names):
        rows.append(_single_row([by_name.pop(name) for name in names], times))
    for variant in ablation.VARIANTS:
        if variant.name in by_name and variant not in ablation.SINGLE:
            rows.append(_row(variant, by_name[variant.name], times.get(variant.name)))
    return rows


def _row(variant: Variant, results: Sequence[Result], times: Times | None) -> Row:
    figures = {result.seed: result.figures for result in results}
    return Row(variant, figures, results[0].parameters, times)


def _single_row(parts: Sequence[Sequence[Result]], times: Mapping[str, Times]) -> Row:
    """Three networks as if they were one: their figures together, sizes and times added."""
    rows = [_row(SINGLE, results, times.get(results[0].variant)) for results in parts]
    taken = [row.times for row in rows if row.times]
    together = Times(
        sum(part.step_seconds for part in taken), sum(part.picture_milliseconds for part in taken)
    )
    seeds = set.intersection(*(set(row.figures) for row in rows))
    return Row(
        SINGLE,
        {seed: {k: v for row in rows for k, v in row.figures[seed].items()} for seed in seeds},
        sum(row.parameters for row in rows),
        together if len(taken) == len(rows) else None,
    )


def write_ablation_report(
    results: Sequence[Result],
    config: AblationConfig,
    out: Path,
    times: Mapping[str, Times] = {},
) -> str:
    """Write ablation.json and ablation.md into `out`; returns the Markdown."""
    rows = rows_of(results, times)
    text = "\n".join(
        [
            f"Network {config.network} at {config.height}x{config.width}, {config.steps} steps of "
            f"{config.batch} panoramas each. Figures are pooled over the held-out rooms: mean ± "
            f"standard deviation over {max(len(row.figures) for row in rows) if rows else 0} "
            "seeds. Times are those of forward and backward of a batch, and of one prediction, in "
            "PyTorch on this machine's processor, measured with all networks in turns. Δ is "
            "Delta_MTL, against the single-task and the plain multi-task networks.",
            "",
            *_table(rows),
            "",
            *_verdicts(rows),
            "",
        ]
    )
    out.mkdir(parents=True, exist_ok=True)
    facts = {
        "config": asdict(config),
        "results": [asdict(result) for result in results],
        "times": {name: asdict(taken) for name, taken in times.items()},
    }
    write_json(out / "ablation.json", facts)
    (out / "ablation.md").write_text(text, encoding="utf-8")
    return text


def _table(rows: Sequence[Row]) -> list[str]:
    titles = [title for _, _, title, *_ in COLUMNS]
    header = [
        "",
        *titles,
        "Δ single %",
        "Δ plain %",
        "M parameters",
        "s per step",
        "ms per picture",
    ]
    base = {row.variant.name: row for row in rows}
    lines = []
    for row in rows:
        cells = [row.variant.title]
        for task, name, _, factor, digits, _ in COLUMNS:
            values = [factor * f[task][name] for f in row.figures.values() if task in f]
            cells.append(_mean_and_spread(values, digits))
        for other in (SINGLE.name, ablation.PLAIN.name):
            values = _deltas(row, base.get(other))
            cells.append(_mean_and_spread([100 * value for value in values], 2))
        cells.append(f"{row.parameters / 1e6:.2f}")
        cells += _told_times(row.times)
        lines.append(cells)
    return table(header, lines)


def _told_times(times: Times | None) -> list[str]:
    if times is None:
        return ["", ""]
    return [f"{times.step_seconds:.2f}", f"{times.picture_milliseconds:.0f}"]


def _mean_and_spread(values: Sequence[float], digits: int) -> str:
    if not values:
        return ""
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {np.std(values, ddof=1):.{digits}f}"


def _deltas(row: Row, base: Row | None) -> list[float]:
    """Delta_MTL of each seed against the same seed of `base`; none against itself."""
    if base is None or base is row:
        return []
    return [delta_mtl(row.figures[s], base.figures[s]) for s in _common_seeds(row, base)]


def _common_seeds(a: Row, b: Row) -> list[int]:
    return sorted(set(a.figures) & set(b.figures))


# --- verdicts ------------------------------------------------------------------------------------


def _verdicts(rows: Sequence[Row]) -> list[str]:
    base = {row.variant.name: row for row in rows}
    changes = [
        [claim, *_changes(base[new.name], base[old.name])]
        for claim, new, old in CLAIMS
        if new.name in base and old.name in base
    ]
    return [
        *table(["claim", "Δ_MTL", "mIoU", "AbsRel", "RMSE", "normals"], changes),
        "",
        "Each cell is the relative change in per cent, where + is better, ± its standard deviation "
        "over seeds. Each seed is compared with the same seed. A change that is not larger than "
        "that deviation is reported as none.",
    ]


def _changes(new: Row, old: Row) -> list[str]:
    seeds = _common_seeds(new, old)

    def told(change: Callable[[Figures, Figures], float]) -> str:
        return verdict([change(new.figures[s], old.figures[s]) for s in seeds])

    def relative(task: str, name: str, more_is_better: bool) -> str:
        sign = 1 if more_is_better else -1
        return told(lambda a, b: sign * (a[task][name] / b[task][name] - 1))

    return [
        told(delta_mtl),
        relative("semseg", "miou", True),
        relative("depth", "abs_rel", False),
        relative("depth", "rmse", False),
        relative("normals", "mean_deg", False),
    ]


def verdict(changes: Sequence[float]) -> str:
    """ "+2.1 ± 0.4", or "none (...)" where the mean change lies inside the spread over seeds."""
    mean = 100 * float(np.mean(changes))
    if len(changes) < 2:
        return f"{mean:+.1f} (one seed)"
    spread = 100 * float(np.std(changes, ddof=1))
    text = f"{mean:+.1f} ± {spread:.1f}"
    return f"none ({text})" if abs(mean) <= spread else text
