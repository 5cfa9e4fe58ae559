"""`mtpano label`: from plain panoramas, or a robot's bag, to a store of pseudo-labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtpano_model.errors import MtpanoError
from mtpano_model.labels.request import LabelRequest as Args

if TYPE_CHECKING:
    from mtpano_model.data.panorama import PanoramaSource
    from mtpano_model.labels.outcome import Outcome


def run(args: Args) -> int:
    """Label, or print the progress; MtpanoError if the store holds no panorama afterwards."""
    if args.status or args.failed:
        from mtpano_model.labels.job.report import failed_text, status_text

        if args.status:
            print(status_text(args.out))
        if args.failed:
            print(failed_text(args.out))
        return 0
    args.check()
    if args.on is None and args.worker is None:
        return _in_this_process(args)
    return _in_tasks(args)


def _in_this_process(args: Args) -> int:
    from mtpano_model.data.store_writer import StoreWriter
    from mtpano_model.labels.opening import open_all
    from mtpano_model.labels.progress import progress
    from mtpano_model.labels.session import label_all

    source, engine, meta = open_all(args)
    with StoreWriter(args.out, meta) as writer:
        total = min(len(source), args.limit or len(source))
        with progress(total, len(writer.names), args.patches) as advance:

            def on_done(*_: Any) -> None:
                advance(1)

            outcome = label_all(source, engine, writer, writer.names, args.limit, on_done)
    return _tell(args, source, outcome)


def _in_tasks(args: Args) -> int:
    from mtpano_model.labels.job.driver import label_in_tasks
    from mtpano_model.labels.opening import open_all, open_source

    source = open_source(args)
    outcome = label_in_tasks(args, source, open_all)
    return 0 if outcome is None else _tell(args, source, outcome)


def _tell(args: Args, source: PanoramaSource, outcome: Outcome) -> int:
    from mtpano_model.data.panorama import DatasetPanoramas
    from mtpano_model.data.store import StoreNames

    held = len(StoreNames(args.out).refresh())
    print(
        f"{args.out}: {outcome.labelled} panoramas labelled, {len(outcome.skipped)} skipped, "
        f"{held} in the store"
    )
    if not held:
        first = outcome.skipped[0] if outcome.skipped else None
        why = f"'{first.name}': {first.reason}" if first else "the source has none"
        raise MtpanoError(f"no panorama could be labelled ({why})")
    if args.preview:
        from mtpano_model.labels.results import write_previews

        write_previews(args.out)
    if "oracle" in args.teacher and args.worker is None:
        from mtpano_model.labels.results import write_quality

        assert isinstance(source, DatasetPanoramas)
        write_quality(args.out, source, align_depth=args.teacher_scale_drift > 0)
    return 0
