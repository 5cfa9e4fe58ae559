"""`mtpano labelspace`: write Hydra's labelspace file for a model's classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtpano_model.errors import writing
from mtpano_model.graph.model_info import find_model, read_model_info
from mtpano_model.pictures.folders import readable
from mtpano_model.robot.labelspace import labelspace
from mtpano_model.whole_files import write_whole


@dataclass
class Args:
    """Write the file that tells Hydra which classes are objects, surfaces or moving things."""

    out: Path = Path("labelspace.yaml")
    """File to write."""
    model: str = "default"
    """The model that runs on the robot: an ONNX file or the name of a bundled model."""


def run(args: Args) -> int:
    """Write the file; 0 once it is there."""
    info = read_model_info(find_model(args.model))
    with writing(args.out):
        write_whole(args.out, labelspace(info.classes, info.unlabelled).encode())
    print(f"{len(info.classes)} classes -> {readable(args.out.resolve())}")
    return 0
