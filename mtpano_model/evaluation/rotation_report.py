"""The rotation study as files: rotation.json, rotation.html, its charts and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.evaluation.charts import line_chart
from mtpano_model.evaluation.features import FeatureStability
from mtpano_model.evaluation.report import page, table
from mtpano_model.evaluation.rotation import FOLLOWED, Turned
from mtpano_model.inference import drawing
from mtpano_model.inference.picture_files import write_picture
from mtpano_model.inference.resize import resize_nearest

_TILE = (96, 192)


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
    text = json.dumps(facts, indent=1, allow_nan=False)
    (out / "rotation.json").write_text(text + "\n", encoding="utf-8")
    sections = [
        table([[key.replace("_", " "), str(value)] for key, value in about.items()], "facts"),
        _section(out, "Yaw roll", "roll", rolled),
        _section(out, "Pitch", "pitch", pitched),
    ]
    if stability is not None:
        chart = line_chart(
            stability.degrees,
            stability.similarity,
            y_range=(0, 1),
            x_title="roll, degrees",
        )
        write_picture(out / "features.png", chart)
        sections.append(
            "<h2>Features under roll</h2><p>Cosine similarity of the features of the rolled "
            "panorama, rolled back, with those of the panorama itself (means taken off).</p>"
            '<img src="features.png" alt="feature stability">'
        )
    if pictures is not None:
        write_picture(out / "components.png", component_sheet(pictures, picture_degrees))
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
    reach = max((abs(v - 1) for line in lines.values() for v in line), default=0.0)
    limit = drawing.nice_limit(max(reach, 0.01))
    chart = line_chart(
        turned.degrees,
        lines,
        y_range=(1 - limit, 1 + limit),
        x_title=f"{name}, degrees (vertical: figure over its mean)",
    )
    write_picture(out / f"{name}.png", chart)
    rows = [
        [key, f"{s['mean']:.4f}", f"{s['std']:.4f}", f"{100 * s['spread']:.2f} %"]
        for key, s in spreads.items()
    ]
    header = ["figure", "mean", "standard deviation", "largest deviation from the mean"]
    image = f'<img src="{name}.png" alt="figures by {name}">'
    return f"<h2>{title}</h2>{image}" + table(rows, "figures", header)


def component_sheet(
    pictures: Mapping[str, Sequence[NDArray[np.uint8]]], degrees: Sequence[float]
) -> NDArray[np.uint8]:
    """A row of token pictures for each kind of feature, a column for each roll angle."""
    gap, names = 8, 110
    width = names + len(degrees) * (_TILE[1] + gap)
    head = drawing.paper(drawing.LINE, width)
    for i, angle in enumerate(degrees):
        drawing.put_text(head, f"{angle:.0f} degrees", names + i * (_TILE[1] + gap), 6, 16)
    rows = [head]
    for kind, row in pictures.items():
        strip = drawing.paper(_TILE[0] + gap, width)
        drawing.put_text(strip, kind, 4, _TILE[0] // 2 - 8, 16)
        for i, picture in enumerate(row):
            left = names + i * (_TILE[1] + gap)
            strip[: _TILE[0], left : left + _TILE[1]] = resize_nearest(picture, _TILE)
        rows.append(strip)
    return np.concatenate(rows)


def spread_lines(turned: Turned) -> list[str]:
    """The spreads as lines of text."""
    spreads = turned.spreads()
    return [
        f"{f'{task}.{name}':<26}{s['mean']:>10.4f}   ± {s['std']:.4f}   largest {s['spread']:.2%}"
        for task, name in FOLLOWED
        if (s := spreads.get(f"{task}.{name}"))
    ]
