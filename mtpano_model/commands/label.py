"""`mtpano label`: from plain panoramas, or a robot's bag, to a store of pseudo-labels."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtpano_model.data.sources import MeasuredName
from mtpano_model.errors import MtpanoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mtpano_model.data.panorama import PanoramaSource
    from mtpano_model.labels.engine import LabelEngine

log = logging.getLogger(__name__)

PREVIEWS = 12


@dataclass
class Args:
    """Make pseudo-labels for panoramas with teacher models.

    Run it again with the same settings to go on after an interruption: what is in the store is not
    labelled twice, and a kill or a full disk loses nothing that was there.
    """

    teacher: tuple[str, ...]
    """One or more of moge2, depth-anything, mask2former, oneformer, segformer, ade20k32,
    pd-bridgenet, oracle; NAME:SOURCE names other weights (a folder, file or hub repository)."""
    out: Path
    """Folder of the store; it is made if need be."""
    input: Path | None = None
    """Folder of 2:1 pictures, one picture, or a rosbag2 (folder, .mcap or .db3)."""
    topic: str | None = None
    """Image topic of the bag; its only one if not given."""
    every: int = 1
    """Take every so many-th picture of the bag."""
    data: MeasuredName | None = None
    """Instead of --input: the pictures of a data set, below --root."""
    root: Path | None = None
    """Folder of the data set."""
    limit: int | None = None
    """Stop when the store holds so many panoramas."""
    height: int | None = None
    """Rows of the labels, half their columns; 512, or the data set's own with --data."""
    patches: int = 32
    """Perspective patches a panorama."""
    patch_size: int = 512
    """Rows and columns of a patch."""
    pitch: tuple[float, float] | None = None
    """Range of the patches' pitch in degrees; what the teachers prefer if not given."""
    hfov: tuple[float, float] = (80.0, 120.0)
    """Range of the patches' horizontal field of view in degrees."""
    class_set: str = "indoor18"
    """Class set of the labels."""
    batch: int = 4
    """Patches that a teacher sees at once."""
    seed: int = 0
    """Where the patches look follows from it and the picture's name."""
    device: str = "auto"
    """Of the teachers: cpu, cuda, cuda:1; auto takes a GPU if there is one."""
    threads: int = 1
    """Processor threads; more of them speed up only heavy teachers on a CPU, --worker anything."""
    worker: str = "0/1"
    """Share the work: K/N labels one N-th of the pictures; one process for each K below N."""
    teacher_scale_drift: float = 0.0
    """The oracle's depth scale errs by this much from patch to patch (0.2: 20 %)."""
    preview: bool = False
    """Write pictures of the first twelve panoramas' labels to OUT/preview."""


def run(args: Args) -> int:
    """Label; MtpanoError if the store holds no panorama afterwards."""
    import torch

    from mtpano_model.data.store_writer import StoreWriter
    from mtpano_model.labels.config import LabelConfig
    from mtpano_model.labels.engine import LabelEngine
    from mtpano_model.labels.session import NotMine, label_all
    from mtpano_model.labels.teachers import describe, open_teacher
    from mtpano_model.torch_device import torch_device

    worker, workers = _share(args.worker)
    _check_counts(args)
    torch.set_num_threads(args.threads)
    source = _source(args)
    device = torch_device(args.device)
    config = LabelConfig(
        height=args.height or _own_height(source) or 512,
        patches=args.patches,
        patch_size=args.patch_size,
        pitch_deg=args.pitch,
        hfov_deg=args.hfov,
        class_set=args.class_set,
        batch=args.batch,
        seed=args.seed,
    )
    teachers = [
        open_teacher(spec, args.class_set, args.device, args.teacher_scale_drift)
        for spec in args.teacher
    ]
    engine = LabelEngine(teachers, config, device)
    made = {k: v for k, v in asdict(replace(config, pitch_deg=engine.pitch_deg)).items()
            if k not in ("batch", "height", "class_set")}  # fmt: skip
    made |= {"teachers": describe(teachers), "teacher_scale_drift": args.teacher_scale_drift}
    meta = {"class_set": config.class_set, "size": config.size, "labels": made}
    with StoreWriter(args.out, meta, worker) as writer:
        left_alone = NotMine(writer.names, worker, workers)
        total = min(-(-len(source) // workers), args.limit or len(source))
        with _progress(total, left_alone.mine_done(), config.patches) as advance:
            shown = _previewer(args, engine) if args.preview else None

            def on_done(item: Any, labels: Any) -> None:
                advance()
                if shown is not None and labels is not None:
                    shown(item.name, labels)

            outcome = label_all(source, engine, writer, left_alone, args.limit, on_done)
        held = writer.held()
    print(
        f"{args.out}: {outcome.labelled} panoramas labelled, {len(outcome.skipped)} skipped, "
        f"{held} in the store"
    )
    if not held:
        first = outcome.skipped[0] if outcome.skipped else None
        why = f"'{first.name}': {first.reason}" if first else "the source gave none"
        raise MtpanoError(f"no panorama could be labelled ({why})")
    if "oracle" in args.teacher:
        _write_quality(args, source)
    return 0


def _share(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if number.isdigit() and count.isdigit() and int(number) < int(count):
        return int(number), int(count)
    raise MtpanoError(f"worker '{text}' is no share: expected K/N with K below N, such as 0/4")


def _check_counts(args: Args) -> None:
    for name in ("every", "limit", "threads"):
        count = getattr(args, name)
        if count is not None and count < 1:
            raise MtpanoError(f"--{name} {count} is too small: expected 1 or more")


def _source(args: Args) -> PanoramaSource:
    from mtpano_model.data.folder import FolderPanoramas
    from mtpano_model.data.rosbag import BagPanoramas, is_bag

    if (args.input is None) == (args.data is None):
        raise MtpanoError("what to label is missing or doubled: give --input, or --data and --root")
    if args.input is not None and args.root is not None:
        raise MtpanoError("--root is the folder of a data set: give it with --data, not --input")
    if args.input is not None and is_bag(args.input):
        return BagPanoramas(args.input, args.topic, args.every)
    if args.topic is not None or args.every != 1:
        raise MtpanoError(
            f"--topic and --every choose among a bag's pictures, and {args.input or args.data} is "
            "no bag: leave them out"
        )
    if args.input is not None:
        return FolderPanoramas(args.input)
    if args.root is None:
        raise MtpanoError(f"--data {args.data} needs --root, the folder of the data set")
    from mtpano_model.data.panorama import DatasetPanoramas
    from mtpano_model.data.sources import SOURCES

    assert args.data is not None
    # The truth is read at the canvas's size, so that the oracle and label_quality.json agree on it.
    size = (args.height, 2 * args.height) if args.height else SOURCES[args.data].size
    return DatasetPanoramas(SOURCES[args.data].open(args.root, "all", size, args.class_set))


def _own_height(source: PanoramaSource) -> int | None:
    """Rows of a labelled data set's pictures: of the first that can be read."""
    from mtpano_model.data.panorama import DatasetPanoramas, Panorama

    if not isinstance(source, DatasetPanoramas):
        return None
    readable = (item for item in source.panoramas() if isinstance(item, Panorama))
    return next((panorama.image.shape[0] for panorama in readable), None)


@contextmanager
def _progress(total: int, done: int, patches: int) -> Iterator[Callable[[], None]]:
    """A bar with the time that is left; yields what to call after each panorama.

    total: a guess (a worker's share follows from names), put right at the end.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("panoramas, {task.fields[speed]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("labelling", total=total, completed=min(done, total), speed="")

        def advance() -> None:
            progress.advance(task)
            speed = progress.tasks[0].speed or 0.0
            progress.update(task, speed=f"{speed * patches:.1f} patches/s")

        yield advance
        progress.update(task, total=progress.tasks[0].completed)


def _previewer(args: Args, engine: LabelEngine) -> Callable[[str, Any], None]:
    from mtpano_model.inference.picture_files import write_picture
    from mtpano_model.labels.preview import preview

    folder = args.out / "preview"
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []

    def show(name: str, labels: Any) -> None:
        if len(written) < PREVIEWS:
            path = folder / f"{name.replace('/', '_')}.png"
            with _writing(path):
                write_picture(path, preview(labels, engine.classes, name))
            written.append(path)

    return show


def _write_quality(args: Args, source: PanoramaSource) -> None:
    """label_quality.json: the store as it reads back, against the ground truth."""
    from mtpano_model.data.panorama import DatasetPanoramas
    from mtpano_model.data.pseudo_encoding import decode
    from mtpano_model.data.store import Store, write_json
    from mtpano_model.labels.quality import LabelQuality

    assert isinstance(source, DatasetPanoramas)
    store, quality = Store(args.out), LabelQuality()
    places = {name: index for index, name in enumerate(source.dataset.names)}
    for index, name in enumerate(store.names):
        if name in places:
            labels = decode(store.read(index), store.size)
            quality.add(labels, source.dataset[places[name]])
    report = quality.report(align_depth=args.teacher_scale_drift > 0)
    with _writing(args.out / "label_quality.json"):
        write_json(args.out / "label_quality.json", report)
    print(json.dumps(report, indent=1))


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MtpanoError(
            f"cannot write {path} ({error.strerror}): make room or choose another --out, the store "
            "itself is whole"
        ) from error
