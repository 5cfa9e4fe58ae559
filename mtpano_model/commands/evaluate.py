"""`mtpano evaluate`: measure a model on a labelled data set and write a report."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mtpano_model.command_line import check_least
from mtpano_model.data.sources import DataName
from mtpano_model.engine_names import Backend, Device, Precision
from mtpano_model.errors import MtpanoError, writing
from mtpano_model.evaluation.card import split_card, update_card
from mtpano_model.evaluation.data_sets import open_comparison
from mtpano_model.evaluation.predictor import open_predictor
from mtpano_model.evaluation.report import metric_rows, write_report
from mtpano_model.evaluation.runner import evaluate
from mtpano_model.inference.postprocess_rules import USUAL_FINISH, DepthFinish
from mtpano_model.metrics.protocols import find_protocol
from mtpano_model.pictures.size import parse_panorama_size

logger = logging.getLogger(__name__)


@dataclass
class Args:
    """Measure a model on a labelled data set.

    Writes metrics.json (figures pooled over pixels at its top level; fractions, metres, degrees;
    variants under per_image, cos_weighted, median_aligned), frames.csv (every frame's own figures)
    and report.html with pictures of the best and the worst frames. docs/evaluation.md defines
    every figure.
    """

    data: DataName
    """Kind of data set; store: agreement with the teachers of a label store."""
    root: Path
    """Its folder."""
    model: str = "default"
    """A bundled model, an .onnx file, a training run, a checkpoint or a .safetensors file."""
    out: Path = Path("out/evaluation")
    """Folder for the report."""
    split: Literal["train", "val", "test"] | None = None
    """Part of the data set; every frame if not given."""
    limit: int | None = None
    """Measure only this many frames, evenly spread over the data set."""
    size: str | None = None
    """HEIGHTxWIDTH at which the data set is read and compared; its usual size if not given."""
    network_size: str | None = None
    """HEIGHTxWIDTH of a checkpoint's input; an ONNX model has a fixed one."""
    align: Literal["none", "median"] = "none"
    """median: scale each depth prediction to the frame's median first, in all depth figures."""
    protocol: Literal[DataName, "360mtl"] | None = None
    """What is scored and how it is averaged; the data set's own if not given."""
    pictures: int = 3
    """How many of the best and of the worst frames of each task are drawn; 0 for none."""
    roll_frames: int = 4
    """How many frames are also rolled sideways, to measure how much the predictions change."""
    backend: Backend = "auto"
    """Engine that runs an ONNX model."""
    device: Device = "auto"
    """Where the model runs; a checkpoint on cpu or cuda, where auto takes a GPU if there is one."""
    threads: int | None = None
    """Processor threads; the engine's own choice if not given."""
    precision: Precision | None = None
    """Arithmetic of an ONNX model, where the engine can choose."""
    depth_finish: DepthFinish = USUAL_FINISH
    """normals: correct depth by the predicted normals first, as the node and predict do. off:
    measure depth as the network predicts it."""
    card: Path | None = None
    """A model card; the table between <!-- metrics:KEY --> and <!-- /metrics:KEY --> is renewed."""
    card_key: str | None = None
    """KEY of that table; DATA-SPLIT, such as rooms-val or rooms-all, if not given."""


def run(args: Args) -> int:
    """Evaluate, write the report and print the figures."""
    card_key = args.card_key or f"{args.data}-{args.split or 'all'}"
    _check(args, card_key)
    protocol = find_protocol(args.protocol or args.data)
    predictor = open_predictor(
        args.model,
        backend=args.backend,
        device=args.device,
        threads=args.threads,
        precision=args.precision,
        size=_size(args.network_size),
        depth_finish=args.depth_finish,
    )
    comparison = open_comparison(
        args.data, args.root, predictor.classes, args.split, _size(args.size)
    )
    if args.data not in ("rooms", "store") and args.split != protocol.reported_split:
        logger.info("published figures are of split '%s'", protocol.reported_split)
    outcome = evaluate(
        predictor,
        comparison,
        protocol,
        align=args.align == "median",
        limit=args.limit,
        roll_frames=args.roll_frames,
    )
    about: dict[str, Any] = {
        **predictor.about,
        "data": args.data,
        "root": str(args.root),
        "split": args.split or "all",
        "frames": len(outcome.frames),
        "protocol": protocol.name,
        "align": args.align,
        "depth_finish": args.depth_finish,
        "class_set": comparison.classes.name,
        "seconds_per_frame": round(outcome.seconds_per_frame, 4),
    }
    with writing(args.out):
        write_report(args.out, outcome, comparison, predictor, about, args.pictures)
    if args.card is not None:
        metrics = json.loads((args.out / "metrics.json").read_text(encoding="utf-8"))
        update_card(args.card, card_key, metrics)
    _print(outcome.metrics, about, args.out)
    return 0


def _check(args: Args, card_key: str) -> None:
    """Refuse at once what would otherwise fail only after minutes of measuring."""
    check_least(args, 1, "limit")
    check_least(args, 0, "pictures", "roll_frames")
    if args.card is not None:
        split_card(args.card, card_key)
    with writing(args.out, "choose another --out"):
        args.out.mkdir(parents=True, exist_ok=True)
    if not os.access(args.out, os.W_OK):
        raise MtpanoError(f"{args.out} cannot be written (no permission): choose another --out")


def _size(text: str | None) -> tuple[int, int] | None:
    """(H, W) of "256x512"; None stays None."""
    return None if text is None else parse_panorama_size(text)


def _print(metrics: dict[str, Any], about: dict[str, Any], out: Path) -> None:
    print(f"{about['frames']} frames, {about['seconds_per_frame']:.3f} s each -> {out.resolve()}")
    for title, pooled, *_ in metric_rows(metrics):
        print(f"{title:<42}{pooled:>12}")
