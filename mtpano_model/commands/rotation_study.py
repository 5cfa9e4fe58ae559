"""`mtpano rotation-study`: how rotations of the camera change the predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mtpano_model.command_line import check_least
from mtpano_model.data.sample import spread
from mtpano_model.data.sources import DataName
from mtpano_model.engine_names import Device
from mtpano_model.errors import writing
from mtpano_model.evaluation.data_sets import Comparison, open_comparison
from mtpano_model.evaluation.features import feature_stability, pca_pictures
from mtpano_model.evaluation.predictor import NetworkPredictor, open_predictor
from mtpano_model.evaluation.rotation import turn_study
from mtpano_model.evaluation.rotation_report import spread_lines, write_rotation_report
from mtpano_model.evaluation.runner import ground_truth
from mtpano_model.metrics.protocols import find_protocol


@dataclass
class Args:
    """Measure a model while panoramas are rotated about the vertical axis and pitched.

    The command writes rotation.json, and rotation.html with charts. For a checkpoint, though not
    for an ONNX file, it also measures how the features of the backbone and of both streams follow
    the rotation, and draws their principal components.
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
    """Part of the data set to measure."""
    limit: int | None = None
    """Measure only this many frames, evenly spread."""
    rolls: int = 12
    """Number of equal steps through 360 degrees."""
    max_pitch: float = 10.0
    """Largest pitch in degrees, up and down."""
    pitches: int = 7
    """Number of pitch angles; with an odd number, 0 degrees is one of them."""
    feature_frames: int = 4
    """Number of frames on which features are compared; 0 skips this."""
    device: Device = "auto"
    """Device of the engine. A checkpoint runs on cpu, cuda, or auto: a GPU if there is one."""
    threads: int | None = None
    """CPU threads; the default is the engine's own choice."""


def run(args: Args) -> int:
    """Rotate, measure, write the report and print how much the figures vary."""
    check_least(args, 1, "rolls", "pitches", "limit")
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
    with writing(args.out):
        write_rotation_report(args.out, rolled, pitched, about, **features)
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
