"""`mtpano ablation`: train and compare variants of the network; run it again to continue."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mtpano_model.command_line import check_least
from mtpano_model.errors import MtpanoError
from mtpano_model.evaluation.ablation import VARIANTS, AblationConfig, Variant, run_ablation
from mtpano_model.evaluation.ablation_report import write_ablation_report
from mtpano_model.evaluation.ablation_times import variant_times
from mtpano_model.pictures.size import parse_panorama_size


@dataclass
class Args:
    """Train single-task networks, a plain multi-task network, and the paper's parts one by one.

    All networks train for the same number of steps. The command writes ablation.md (the table and
    a verdict on each claim), ablation.json, and a folder for each run. Start it again with the
    same arguments to continue after an interruption.
    """

    root: Path
    """Folder of a rooms set, of which a tenth of the rooms is held out for the figures."""
    out: Path = Path("out/ablation")
    """Folder for the runs and the report."""
    network: str = "small"
    """Network preset that the variants change."""
    size: str = "128x256"
    """Picture size, HEIGHTxWIDTH."""
    steps: int = 900
    """Optimizer steps of every run."""
    batch: int = 8
    """Panoramas per step."""
    seeds: int = 3
    """Number of runs of every variant, with the seeds 0, 1, ..."""
    variants: list[str] = field(default_factory=list)
    """Names of the variants to train; the default is all."""
    workers: int = 1
    """Processes that load and augment panoramas."""
    threads: int | None = None
    """CPU threads that the network uses."""


def run(args: Args) -> int:
    """Run what is missing, and print the report."""
    from mtpano_model.torch_device import use_threads

    use_threads(args.threads)
    height, width = parse_panorama_size(args.size)
    check_least(args, 1, "steps", "batch", "seeds")
    config = AblationConfig(
        root=str(args.root),
        network=args.network,
        height=height,
        width=width,
        steps=args.steps,
        batch=args.batch,
        workers=args.workers,
    )
    variants = _chosen(args.variants)
    results = run_ablation(config, args.out, range(args.seeds), variants)
    times = variant_times(config, variants)
    print(write_ablation_report(results, config, args.out, times))
    print(f"-> {args.out.resolve()}")
    return 0


def _chosen(names: list[str]) -> list[Variant]:
    known = {variant.name: variant for variant in VARIANTS}
    for name in names:
        if name not in known:
            raise MtpanoError(f"unknown variant '{name}': expected one of {', '.join(known)}")
    return [known[name] for name in names] or list(VARIANTS)
