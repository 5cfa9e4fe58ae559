"""`mtpano predict`: pictures in; panels, depth, normals, labels and clouds out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from tyro.conf import Positional

from mtpano_model.clouds.cloud import cloud_from_frame
from mtpano_model.clouds.files import WRITERS
from mtpano_model.command_line import check_least
from mtpano_model.drawing.panels import Rgb, panel
from mtpano_model.drawing.sheet import SheetPages
from mtpano_model.engine_names import Backend, Device, Precision
from mtpano_model.errors import MtpanoError, writing
from mtpano_model.inference import Estimator, Frame, ValueRules, load_estimator
from mtpano_model.inference.postprocess_rules import USUAL_FINISH, DepthFinish
from mtpano_model.pictures.body_mask import load_mask
from mtpano_model.pictures.files import write_picture
from mtpano_model.pictures.folders import readable
from mtpano_model.pictures.millimetres import millimetres
from mtpano_model.pictures.normals import encode_normals
from mtpano_model.pictures.output_size import parse_output_size, resolve_output_size
from mtpano_model.pictures.picture import NoteTeller
from mtpano_model.robot.attitude import down_of_tilt
from mtpano_model.robot.upright import Upright, UprightPredictor
from mtpano_model.shots.shot import Shot, Shots, open_shots
from mtpano_model.whole_files import write_json

log = logging.getLogger(__name__)


@dataclass
class Args:
    """Predict metric depth, surface normals and semantics of 360-degree pictures.

    For every picture NAME it writes panel_NAME.png (everything at a glance), depth_NAME.png,
    normals_NAME.png, labels_NAME.png and cloud_NAME.ply or .pcd. The file about.json says what the
    numbers mean.
    """

    pictures: Positional[Path]
    """An equirectangular picture (2:1), a folder of them, or a rosbag2 (folder, .mcap or .db3) with
    pictures or H.264 / H.265 video. With --rig: a bag with the lenses' topics, a picture or folder
    of pictures that show all lenses, or a folder with a folder of pictures for each lens."""
    out: Path = Path("out")
    """Folder to write to; it is created if it does not exist."""
    model: str = "default"
    """An ONNX file from `mtpano export`, or the name of a bundled model."""
    backend: Backend = "auto"
    """Engine that runs the network; auto takes the fastest that is installed."""
    device: Device = "auto"
    """Device: cpu, cuda (NVIDIA), gpu (Intel) or tensorrt (ONNX Runtime's provider)."""
    threads: int | None = None
    """CPU threads; by default the engine chooses."""
    precision: Precision | None = None
    """Arithmetic of the network; by default the engine chooses."""
    output_size: str = "input"
    """input (the picture's size, at most 512 rows), network, or HEIGHTxWIDTH."""
    cloud: Literal["ply", "pcd", "none"] = "ply"
    """Format of the point cloud, in the optical frame: x right, y down, z forward."""
    cloud_stride: int = 1
    """The cloud has one point for every Nth row and every Nth column."""
    min_range: float = 0.0
    """Metres; nearer distances become -Inf (too near)."""
    max_range: float = float("inf")
    """Metres; farther distances become +Inf (open)."""
    depth_finish: DepthFinish = USUAL_FINISH
    """normals: correct depth by the predicted normals, so that walls are flat and depth steps
    sharp. off: depth as the network predicts it."""
    mask: Path | None = None
    """A 2:1 picture that is white where the camera sees the robot itself; depth and normals are
    unknown there."""
    panels: bool = True
    """Write the panels, the slowest of the outputs."""
    sheet: bool = False
    """Also write sheet.jpg with a row for each picture; for more than a hundred pictures
    sheet_01.jpg and so on."""
    level: bool = False
    """Turn each picture upright before the network sees it, and the results back. The tilt is that
    of its metadata (GPano), or else is measured from the floor and ceiling in it."""
    camera_height: float | None = None
    """Metres from the floor to the camera; depth is then scaled so that the floor lies there."""
    allow_non_2to1: bool = False
    """Also read pictures that are not 2:1; they are stretched over the whole sphere."""
    rig: Path | None = None
    """A rig file (`mtpano rig template`, or Kalibr's camchain): the pictures are of its lenses."""
    topic: str | None = None
    """Image topic of the bag; needed only if the bag has several."""
    every: int = 1
    """Predict only every Nth picture of the bag."""


def run(args: Args) -> int:
    """Predict everything; 0 if any picture worked, 1 if none did."""
    parse_output_size(args.output_size)
    check_least(args, 1, "cloud_stride")
    shots = open_shots(args.pictures, args.topic, args.every, args.rig, args.allow_non_2to1)
    mask = None if args.mask is None else load_mask(args.mask, args.allow_non_2to1)
    rules = ValueRules(args.min_range, args.max_range, mask, args.depth_finish)
    with load_estimator(
        args.model, args.backend, args.device, args.threads, args.precision
    ) as estimator:
        with writing(args.out):
            args.out.mkdir(parents=True, exist_ok=True)
            _write_about(args.out, estimator)
            times, failures = _predict_all(shots, args, estimator, rules)
        info = estimator.info
    for failure in failures:
        log.warning("skipped: %s", failure)
    asked = len(times) + len(failures)
    print(f"{len(times)} of {asked} pictures -> {readable(args.out.resolve())}")
    if not times:
        return 1
    stages = ", ".join(f"{stage} {np.median([t[stage] for t in times]):.1f}" for stage in times[0])
    print(f"{info.backend} {info.precision} on {info.device}, median milliseconds: {stages}")
    return 0


def _predict_all(
    shots: Shots, args: Args, estimator: Estimator, rules: ValueRules
) -> tuple[list[dict[str, float]], list[str]]:
    """Milliseconds by stage of every picture that worked, and why the others did not."""
    times, failures = [], []
    sheet = SheetPages(args.out, estimator.info.classes, shots.count)
    notes = NoteTeller(log)
    upright = UprightPredictor(estimator, args.level, args.camera_height)
    network = estimator.info.input_size
    for shot in _progress(shots):
        try:
            picture = shot.open(network)
            size = resolve_output_size(args.output_size, shot.size or picture.size, network)
            # Of lenses nothing is made at another size than is asked for.
            colors = picture if shot.size is None else shot.open(size)
        except MtpanoError as error:
            failures.append(str(error))
            continue
        notes.tell(shot.title, picture)
        seen = replace(rules, seen=picture.seen)
        if args.level or args.camera_height is not None:
            down = down_of_tilt(*picture.tilt) if any(picture.tilt) else None
            frame = _upright(shot.title, upright.predict(picture.rgb, size, seen, down))
        else:
            frame = estimator.predict(picture.rgb, size, seen)
        _write(shot, colors.rgb, frame, args, estimator)
        if args.sheet:
            sheet.add(colors.rgb, frame)
        times.append(frame.milliseconds)
    sheet.finish_page()
    return times, failures


def _upright(title: str, found: Upright) -> Frame:
    if found.problem:
        log.warning("%s: %s", title, found.problem)
    log.info("%s: turned by %.1f degrees, scaled by %.2f", title, found.tilt, found.factor)
    return found.frame


def _write(shot: Shot, rgb: Rgb, frame: Frame, args: Args, estimator: Estimator) -> None:
    write_picture(args.out / f"depth_{shot.name}.png", millimetres(frame.depth))
    write_picture(args.out / f"normals_{shot.name}.png", encode_normals(frame.normals))
    write_picture(args.out / f"labels_{shot.name}.png", frame.labels)
    if args.panels:
        sheet = panel(rgb, frame, estimator.info, title=Path(shot.title).name)
        write_picture(args.out / f"panel_{shot.name}.png", sheet)
    if args.cloud != "none":
        cloud = cloud_from_frame(frame, rgb, args.cloud_stride)
        WRITERS[args.cloud](args.out / f"cloud_{shot.name}.{args.cloud}", cloud)


def _write_about(out: Path, estimator: Estimator) -> None:
    info = estimator.info
    about = {
        "depth": "uint16 millimetres along the pixel's ray; 0 unknown, open or out of range",
        "normals": "RGB = round((n + 1) x 127.5), x right, y down, z forward; grey (128) unknown",
        "labels": f"class ids as below, {info.unlabelled} unlabelled",
        "cloud": "metres, optical frame: x right, y down, z forward",
        "classes": [
            {"id": index, "name": name, "color": list(color)}
            for index, (name, color) in enumerate(
                zip(info.classes.names, info.classes.palette, strict=True)
            )
        ],
        "model": str(info.path),
        "revision": info.revision,
        "license": info.license,
        "trained_on": info.trained_on,
        "backend": info.backend,
        "precision": info.precision,
    }
    write_json(out / "about.json", about)


def _progress(shots: Shots) -> Iterator[Shot]:
    """A progress bar if rich is installed, else a log line per picture."""
    if find_spec("rich") is not None:
        from rich.console import Console
        from rich.progress import track

        yield from track(shots.every, "Predicting", total=shots.count, console=Console(stderr=True))
        return
    for number, shot in enumerate(shots.every, start=1):
        log.info("%d/%d %s", number, shots.count, shot.name)
        yield shot
