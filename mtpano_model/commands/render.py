"""`mtpano render`: worlds of any size with exact depth, normals and semantics."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Literal

from mtpano_model.command_line import check_least
from mtpano_model.errors import MtpanoError, did_you_mean
from mtpano_model.pictures.size import parse_panorama_size
from mtpano_model.worlds.catalogue import open_catalogue
from mtpano_model.worlds.credits import write_credits
from mtpano_model.worlds.drive import RATE_HZ
from mtpano_model.worlds.ingredients import find_ingredients
from mtpano_model.worlds.kinds import KINDS
from mtpano_model.worlds.output import Output
from mtpano_model.worlds.overview import overview
from mtpano_model.worlds.renderer import check_blender
from mtpano_model.worlds.session import Session
from mtpano_model.worlds.shoot import Settings
from mtpano_model.worlds.textures import TexturePool
from mtpano_model.worlds.verify import verify
from mtpano_model.worlds.world import REVISION, Stock, world_name

log = logging.getLogger(__name__)
_SMALLEST, _LARGEST = 32, 4096  # rows


@dataclass
class Args:
    """Render generated, furnished and peopled places as panoramas with exact ground truth.

    The folder is what `mtpano train --data rooms` reads. An interrupted run
    continues and loses at most one view. Blender runs in an environment of its own, which
    `./run worlds` makes.
    """

    out: Path | None = None
    """Folder to write to; it is created if it does not exist."""
    kinds: str = "home,office,hall"
    """Kinds of places to render: names with commas between them, or all."""
    rooms: int = 10
    """Number of worlds of each kind."""
    views: int = 3
    """Number of views in each world."""
    size: str = "512x1024"
    """Size of the pictures, HEIGHTxWIDTH; they are twice as wide as high."""
    seed: int = 0
    """Number that decides the worlds: the same seed and settings give the same worlds."""
    split: Literal["train", "heldout"] = "train"
    """Which models, textures and skies to use; heldout is a quarter of them, for measuring."""
    samples: int = 4
    """Number of light paths through each pixel, before the denoiser."""
    processes: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    """Number of Blender processes, each with one thread; the default is the number of cores."""
    furniture: Path | None = None
    """Folder with *.sh3f libraries, or with OBJ and glTF models and a table models.csv."""
    blender: Path | None = None
    """A Python 3.11 that has bpy; the default is the one that `./run worlds` made."""
    verify: Path | None = None
    """Check this rendered folder instead: flatness, normals, pixel centres, sides, poles."""
    limit: int | None = None
    """With --verify: check only this many views, spread over the folder."""
    overview: Path | None = None
    """Draw views and histograms of this rendered folder instead, and print its figures."""
    beside: Path | None = None
    """With --overview: another folder of rooms to compare with."""
    trajectory: bool = False
    """Instead of views, render a robot's drive through each world at 10 Hz, also as MCAP."""
    seconds: float = 10.0
    """With --trajectory: length of each drive in seconds."""


def run(args: Args) -> int:
    """Render, or check; 0 if all went well, 1 if a check failed."""
    if args.verify is not None:
        report, good = verify(args.verify, args.limit)
        print(report)
        return 0 if good else 1
    if args.overview is not None:
        print(overview(args.overview, args.beside))
        return 0
    if args.out is None:
        raise MtpanoError("the output folder is missing: give one with --out")
    kinds, size = parse_kinds(args.kinds), _panorama_size(args.size)
    check_least(args, 1, "rooms", "views", "samples", "processes")
    if not 0.1 <= args.seconds <= 3600:
        raise MtpanoError(f"--seconds {args.seconds:g} is out of range: expected 0.1 to 3600")
    ingredients = find_ingredients(args.blender, args.furniture)
    check_blender(ingredients.blender)
    catalogue = open_catalogue(
        ingredients.furniture, ingredients.unpacked, args.split, ingredients.people
    )
    pool = TexturePool(ingredients.textures, args.split)
    stock = Stock(args.split, catalogue, pool, ingredients.skies_of(args.split))
    settings = Settings(
        size,
        args.split,
        args.views,
        args.samples,
        REVISION,
        stock.fingerprint(),
        args.seconds if args.trajectory else 0.0,
    )
    output = Output(args.out, args.seed, settings.as_json())
    try:
        before = len(output.views)
        worlds = [(kind, number) for number in range(args.rooms) for kind in kinds]
        total = len(worlds) * (round(args.seconds * RATE_HZ) if args.trajectory else args.views)
        names = {world_name(kind, args.seed, number) for kind, number in worlds}
        done = sum(entry["room"] in names for entry in output.views.values())
        with _progress(total, done) as advance:
            Session(settings, args.seed, ingredients, stock, output, advance).run(
                worlds, args.processes
            )
        write_credits(args.out, list(output.views.values()), catalogue)
        print(f"{args.out}: {len(output.views) - before} views rendered, {len(output.views)} there")
    finally:
        output.close()
    return 0


def parse_kinds(text: str) -> list[str]:
    """Kinds by name, in the given order; MtpanoError for one that does not exist."""
    names = (
        list(KINDS) if text == "all" else [name.strip() for name in text.split(",") if name.strip()]
    )
    for name in names:
        if name not in KINDS:
            raise MtpanoError(f"unknown kind '{name}': {did_you_mean(name, KINDS)}")
    if not names:
        raise MtpanoError(f"--kinds is empty: expected some of {', '.join(KINDS)}, or all")
    return list(dict.fromkeys(names))


def _panorama_size(text: str) -> tuple[int, int]:
    height, width = parse_panorama_size(text)
    if not _SMALLEST <= height <= _LARGEST:
        raise MtpanoError(f"size {text} is out of range: expected {_SMALLEST} to {_LARGEST} rows")
    return height, width


@contextmanager
def _progress(total: int, done: int) -> Iterator[Callable[[], None]]:
    """A bar with rate and time left; log lines if rich is missing or stderr is not a terminal."""
    if find_spec("rich") is None or not sys.stderr.isatty():
        started, counted = monotonic(), done

        def tell() -> None:
            nonlocal counted
            counted += 1
            rate = (counted - done) / (monotonic() - started)
            left = (total - counted) / rate / 60
            log.info(
                "%d/%d views, %.1f a minute, %.0f minutes left", counted, total, 60 * rate, left
            )

        yield tell
        return
    from mtpano_model.progress_bar import progress_bar

    with progress_bar(with_note=True) as bar:
        bar.speed_estimate_period = 600
        task = bar.add_task("rendering", total=total, completed=done, note="")

        def advance() -> None:
            bar.advance(task)
            bar.update(task, note=f"views, {60 * (bar.tasks[0].speed or 0):.1f} a minute")

        yield advance
