"""The rotation study as files: rotation.json, rotation.html, its charts and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.evaluation.charts import line_chart, tiles
from mtpano_model.evaluation.features import FeatureStability
from mtpano_model.evaluation.report import page, table
from mtpano_model.evaluation.rotation import FOLLOWED, Turned
from mtpano_model.whole_files import write_json


def write_rotation_report(
    out: Path,
    rolled: Turned,
    pitched: Turned,
    about: dict[str, Any],
    stability: FeatureStability | None = None,
    pictures: Mapping[str, Sequence[NDArray[np.uint8]]] | None = None,
    picture_degrees: Sequence[float] = (),
) -> None:
    """Write everything into `out`.

    stability and pictures (principal components by kind, one an angle of picture_degrees) exist
    for checkpoints only.
    """
    out.mkdir(parents=True, exist_ok=True)
    facts = {
        "about": about,
        "roll": rolled.to_dict(),
        "pitch": pitched.to_dict(),
        "features": None if stability is None else asdict(stability),
    }
    write_json(out / "rotation.json", facts, allow_nan=False)
    sections = [
        table([[key.replace("_", " "), str(value)] for key, value in about.items()], "facts"),
        _section(out, "Yaw roll", "roll", rolled),
        _section(out, "Pitch", "pitch", pitched),
    ]
    if stability is not None:
        chart = line_chart(stability.degrees, stability.similarity, "roll, degrees", "similarity")
        chart.savefig(out / "features.png")
        sections.append(
            "<h2>Features under roll</h2><p>Cosine similarity of the features of the rolled "
            "panorama, rolled back, with those of the panorama itself (means taken off).</p>"
            '<img src="features.png" alt="feature stability">'
        )
    if pictures is not None:
        rows = [
            [
                (f"{kind}, {angle:g} degrees", picture)
                for angle, picture in zip(picture_degrees, row, strict=True)
            ]
            for kind, row in pictures.items()
        ]
        tiles(rows).savefig(out / "components.png")
        sections.append(
            "<h2>Principal components</h2><p>The first three as red, green and blue; the "
            "components are those of the unrolled panorama.</p>"
            '<img src="components.png" alt="principal components of the features">'
        )
    html = page("Rotation study", "".join(sections))
    (out / "rotation.html").write_text(html, encoding="utf-8")


def _section(out: Path, title: str, name: str, turned: Turned) -> str:
    """A chart of every figure relative to its mean, and the table of spreads."""
    spreads = turned.spreads()
    lines = {
        key: [value / found["mean"] for value in turned.series(*key.split("."))]
        for key, found in spreads.items()
        if found["mean"]
    }
    chart = line_chart(turned.degrees, lines, f"{name}, degrees", "figure over its mean")
    chart.savefig(out / f"{name}.png")
    rows = [
        [key, f"{s['mean']:.4f}", f"{s['std']:.4f}", f"{100 * s['spread']:.2f} %"]
        for key, s in spreads.items()
    ]
    header = ["figure", "mean", "standard deviation", "largest deviation from the mean"]
    image = f'<img src="{name}.png" alt="figures by {name}">'
    return f"<h2>{title}</h2>{image}" + table(rows, "figures", header)


def spread_lines(turned: Turned) -> list[str]:
    """The spreads as lines of text."""
    spreads = turned.spreads()
    return [
        f"{f'{task}.{name}':<26}{s['mean']:>10.4f}   ± {s['std']:.4f}   largest {s['spread']:.2%}"
        for task, name in FOLLOWED
        if (s := spreads.get(f"{task}.{name}"))
    ]
