"""Checks the model: its own facts, and how long a picture takes on the processor."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import numpy as np

from mtpano_model.doctor.engines import tensorrt_usable
from mtpano_model.doctor.finding import Finding, fix, ok
from mtpano_model.engine_names import PREFERRED
from mtpano_model.errors import MtpanoError
from mtpano_model.graph.model_info import find_model, read_model_info
from mtpano_model.inference import load_estimator
from mtpano_model.pictures.size import size_text

_RUNS = 4


def check(model: str) -> list[Finding]:
    """The model's facts, and how long a picture takes."""
    try:
        path = find_model(model)
        info = read_model_info(path)
    except MtpanoError as error:
        return [fix(f"model '{model}'", str(error), essential=True)]
    mebibytes = path.stat().st_size / 2**20
    facts = ok(
        f"{path.name}: preset {info.preset}, {len(info.classes)} classes ({info.classes.name}), "
        f"{size_text(info.input_size)}, {info.precision}, {info.tail} tail, {mebibytes:.1f} MiB, "
        f"revision {info.revision}, {info.license}"
    )
    return [facts, _trial(path)]


def _trial(path: Path) -> Finding:
    reasons = []
    for backend in (name for name, place in PREFERRED if place == "cpu"):
        try:
            with load_estimator(path, backend=backend, device="cpu") as estimator:
                height, width = estimator.info.input_size
                image = np.zeros((height, width, 3), np.uint8)
                times = [estimator.predict(image).milliseconds["inference"] for _ in range(_RUNS)]
        except MtpanoError as error:
            reasons.append(str(error))
            continue
        return ok(
            f"it runs: {backend} {estimator.info.precision}, {median(times[1:]):.0f} ms a picture"
        )
    return fix("it runs on no engine for a processor", "; ".join(reasons), not tensorrt_usable())
