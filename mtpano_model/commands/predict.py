"""`mtpano predict`: pictures in; panels, depth, normals, labels and clouds out."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from tyro.conf import Positional

from mtpano_model.errors import MtpanoError
from mtpano_model.inference import Estimator, Frame, ValueRules, load_estimator
from mtpano_model.inference.cloud import cloud_from_frame
from mtpano_model.inference.cloud_files import WRITERS
from mtpano_model.inference.masks import load_mask
from mtpano_model.inference.output_size import parse_output_size, resolve_output_size
from mtpano_model.inference.picture_files import (
    depth_millimetres,
    find_pictures,
    read_picture,
    write_picture,
)
from mtpano_model.inference.pictures import Rgb, colorize_normals, panel
from mtpano_model.inference.sheet import SheetPages

log = logging.getLogger(__name__)


@dataclass
class Args:
    """Predict metric depth, surface normals and semantics of 360-degree pictures.

    For every picture NAME it writes panel_NAME.png (everything at a glance), depth_NAME.png,
    normals_NAME.png, labels_NAME.png and cloud_NAME.ply or .pcd; about.json beside them says what
    the numbers mean, and sheet.jpg (--sheet) shows all pictures on one page, or sheet_01.jpg and
    so on a hundred each.
    """

    pictures: Positional[Path]
    """An equirectangular picture (2:1), or a folder of them."""
    out: Path = Path("out")
    """Folder to write to; it is made if need be."""
    model: str = "default"
    """An ONNX file from `mtpano export`, or the name of a bundled model."""
    backend: Literal["auto", "openvino", "onnxruntime", "tensorrt"] = "auto"
    """Engine that runs the network; auto takes the fastest that is installed."""
    device: Literal["auto", "cpu", "cuda", "gpu", "tensorrt"] = "auto"
    """Where it runs: cpu, cuda (NVIDIA), gpu (Intel) or tensorrt (ONNX Runtime's provider)."""
    threads: int | None = None
    """Processor threads; the engine's own choice if not given."""
    precision: Literal["fp32", "bf16", "fp16"] | None = None
    """Arithmetic of the network, where the engine has a choice."""
    output_size: str = "input"
    """input (the picture's size, at most 512 rows), network, or HEIGHTxWIDTH."""
    cloud: Literal["ply", "pcd", "none"] = "ply"
    """Format of the point cloud, in the optical frame: x right, y down, z forward."""
    cloud_stride: int = 1
    """Every how many pixels the cloud has a point, along rows and columns."""
    min_range: float = 0.0
    """Metres; what is nearer counts as too near."""
    max_range: float = float("inf")
    """Metres; what is farther counts as open."""
    mask: Path | None = None
    """A 2:1 picture that is white where the robot itself is seen; nothing is measured there."""
    panels: bool = True
    """Write the panels, the slowest of the outputs."""
    sheet: bool = False
    """Write sheet.jpg too: all pictures, a row each; above a hundred sheet_01.jpg and so on."""
    allow_non_2to1: bool = False
    """Take pictures of another shape too, as if they were squeezed equirectangular ones."""


def run(args: Args) -> int:
    """Predict everything; 0 if any picture worked, 1 if none did."""
    parse_output_size(args.output_size)
    if args.cloud_stride < 1:
        raise MtpanoError(f"cloud stride {args.cloud_stride} is too small: expected 1 or more")
    paths = find_pictures(args.pictures)
    mask = None if args.mask is None else load_mask(args.mask, args.allow_non_2to1)
    rules = ValueRules(args.min_range, args.max_range, mask)
    with load_estimator(
        args.model, args.backend, args.device, args.threads, args.precision
    ) as estimator:
        try:
            args.out.mkdir(parents=True, exist_ok=True)
            _write_about(args.out, estimator)
            times, failures = _predict_all(paths, args, estimator, rules)
        except OSError as error:
            raise MtpanoError(f"cannot write to {args.out}: {error}") from error
        info = estimator.info
    for failure in failures:
        log.warning("skipped: %s", failure)
    print(f"{len(times)} of {len(paths)} pictures -> {args.out.resolve()}")
    if not times:
        return 1
    stages = ", ".join(f"{stage} {np.median([t[stage] for t in times]):.1f}" for stage in times[0])
    print(f"{info.backend} {info.precision} on {info.device}, median milliseconds: {stages}")
    return 0


def _predict_all(
    paths: list[Path], args: Args, estimator: Estimator, rules: ValueRules
) -> tuple[list[dict[str, float]], list[str]]:
    """Milliseconds by stage of every picture that worked, and why the others did not."""
    times, failures = [], []
    sheet = SheetPages(args.out, estimator.info.classes, len(paths))
    for name, path in zip(_progress(_unique_names(paths), len(paths)), paths, strict=True):
        try:
            rgb = read_picture(path)
            _check_shape(path, rgb, args.allow_non_2to1)
        except MtpanoError as error:
            failures.append(str(error))
            continue
        size = resolve_output_size(args.output_size, rgb.shape[:2], estimator.info.input_size)
        frame = estimator.predict(rgb, size, rules)
        _write(name, path, rgb, frame, args, estimator)
        if args.sheet:
            sheet.add(rgb, frame)
        times.append(frame.milliseconds)
    sheet.finish_page()
    return times, failures


def _check_shape(path: Path, rgb: Rgb, allow_any: bool) -> None:
    height, width, _ = rgb.shape
    if width != 2 * height and not allow_any:
        raise MtpanoError(
            f"{path} is {width}x{height}, expected an equirectangular 2:1 picture "
            "(--allow-non-2to1 takes it all the same)"
        )


def _write(name: str, path: Path, rgb: Rgb, frame: Frame, args: Args, estimator: Estimator) -> None:
    write_picture(args.out / f"depth_{name}.png", depth_millimetres(frame.depth))
    write_picture(args.out / f"normals_{name}.png", colorize_normals(frame.normals))
    write_picture(args.out / f"labels_{name}.png", frame.labels)
    if args.panels:
        sheet = panel(rgb, frame, estimator.info, title=path.name)
        write_picture(args.out / f"panel_{name}.png", sheet)
    if args.cloud != "none":
        cloud = cloud_from_frame(frame, rgb, args.cloud_stride)
        WRITERS[args.cloud](args.out / f"cloud_{name}.{args.cloud}", cloud)


def _write_about(out: Path, estimator: Estimator) -> None:
    info = estimator.info
    about = {
        "depth": "uint16 millimetres along the pixel's ray; 0 unknown, 65535 open or out of range",
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
    (out / "about.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _unique_names(paths: list[Path]) -> list[str]:
    """File names without suffix, with it where two pictures would share a name."""
    stems = [path.stem for path in paths]
    return [
        path.stem if stems.count(path.stem) == 1 else f"{path.stem}_{path.suffix[1:]}"
        for path in paths
    ]


def _progress(names: Iterable[str], total: int) -> Iterator[str]:
    """A bar where rich is installed, a line a picture where it is not (the robot's half)."""
    if find_spec("rich") is not None:
        from rich.console import Console
        from rich.progress import track

        yield from track(names, "Predicting", total=total, console=Console(stderr=True))
        return
    for number, name in enumerate(names, start=1):
        log.info("%d/%d %s", number, total, name)
        yield name
