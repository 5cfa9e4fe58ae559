"""`mtpano rotation-study`: how predictions bear turning the camera."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mtpano_model.data.sources import DataName
from mtpano_model.errors import MtpanoError
from mtpano_model.evaluation.data_sets import Comparison, open_comparison
from mtpano_model.evaluation.features import feature_stability, pca_pictures
from mtpano_model.evaluation.predictor import NetworkPredictor, open_predictor
from mtpano_model.evaluation.rotation import turn_study
from mtpano_model.evaluation.rotation_report import spread_lines, write_rotation_report
from mtpano_model.evaluation.runner import ground_truth, spread
from mtpano_model.metrics.protocols import find_protocol


@dataclass
class Args:
    """Measure a model as panoramas are rolled through 360 degrees and pitched up and down.

    Writes rotation.json and rotation.html with charts. A checkpoint (not an ONNX file) also shows
    how stable its features are: backbone, invariant and variant stream under roll, with pictures
    of their principal components.
    """

    root: Path
    """Folder of the data set."""
    data: DataName = "rooms"
    """Kind of data set."""
    model: str = "default"
    """A bundled model, an .onnx file, a training run, a checkpoint or a .safetensors file."""
    out: Path = Path("out/rotation")
    """Folder for the report."""
    split: Literal["train", "val", "test"] | None = "val"
    """Part of the data set."""
    limit: int | None = None
    """Only so many frames, evenly spread."""
    rolls: int = 12
    """Steps through 360 degrees."""
    max_pitch: float = 10.0
    """Pitch goes from minus to plus so many degrees."""
    pitches: int = 7
    """Steps of pitch, an odd number has 0 among them."""
    feature_frames: int = 4
    """Frames on which features are compared; 0 for none."""
    device: Literal["auto", "cpu", "cuda", "gpu"] = "auto"
    """Where the engine runs; of a checkpoint cpu or cuda, auto takes a GPU if there is one."""
    threads: int | None = None
    """Processor threads; the engine's own choice if not given."""


def run(args: Args) -> int:
    """Turn, measure, write the report and print the spreads."""
    if min(args.rolls, args.pitches) < 1 or (args.limit is not None and args.limit < 1):
        raise MtpanoError(
            f"rolls {args.rolls}, pitches {args.pitches}, limit {args.limit}: expected 1 or more"
        )
    predictor = open_predictor(args.model, device=args.device, threads=args.threads)
    comparison = open_comparison(args.data, args.root, predictor.classes, args.split)
    pitches = np.linspace(-args.max_pitch, args.max_pitch, args.pitches).tolist()
    rolled, pitched = turn_study(
        predictor,
        comparison,
        find_protocol(args.data),
        rolls=args.rolls,
        pitches=pitches,
        limit=args.limit,
    )
    features: dict[str, Any] = {}
    if isinstance(predictor, NetworkPredictor) and args.feature_frames:
        features = _features(predictor, comparison, args.feature_frames)
    frames = len(spread(len(comparison.frames), args.limit))
    about = {**predictor.about, "data": args.data, "split": args.split or "all", "frames": frames}
    try:
        write_rotation_report(args.out, rolled, pitched, about, **features)
    except OSError as error:
        raise MtpanoError(f"cannot write to {args.out}: {error}") from error
    for title, turned in (("yaw roll", rolled), ("pitch", pitched)):
        print("\n".join([f"{title}, {len(turned.degrees)} angles:", *spread_lines(turned)]))
    print(f"-> {args.out.resolve()}")
    return 0


def _features(predictor: NetworkPredictor, comparison: Comparison, count: int) -> dict[str, Any]:
    net, size = predictor.net, predictor.size
    chosen = spread(len(comparison.frames), count)
    pictures = [ground_truth(comparison.frames[index])[0] for index in chosen]
    quarter = size[1] // 4
    return {
        "stability": feature_stability(net, pictures, size),
        "pictures": pca_pictures(net, pictures[0], size, [quarter * i for i in range(4)]),
        "picture_degrees": [0, 90, 180, 270],
    }
