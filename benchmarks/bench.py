"""Runs the whole benchmark: what is measured when, and which numbers are compared."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.laboratory import Laboratory
from benchmarks.measure import copy_ms, machine, pack_ms, published_bytes
from benchmarks.profile import profile
from benchmarks.report import write_report
from benchmarks.roofline import roofline
from benchmarks.scenario import Load, Outcome, System
from benchmarks.startup import measure_startup
from benchmarks.steady import run_steadily
from benchmarks.timing import median_wall_ms, write_figures
from mtpano_model.errors import MtpanoError

log = logging.getLogger(__name__)

# (H, W) of the camera. The first is the one that ratios are about.
HEADLINE = (512, 1024)
SIZES = (HEADLINE, (256, 512), (1024, 2048))
ROUNDS = 3
# Images a second for the node without an engine: what it does between them counts for little then.
STUB_RATE = 15.0
# Left over from eight minutes for the report, and for runs that take longer than expected.
TABLE_SECONDS = 445.0
LARGE = (1024, 2048)
LARGE_FRAMES = 200
# /diagnostics comes once a second: after this long it has told all that was received.
SETTLE_SECONDS = 2.5
SOAK_FRAMES = 10_000
STEADY_FRAMES = 1_540
ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs" / "benchmarks"


@dataclass
class Args:
    """Our node against a naive one, the engine alone and a memory copy, on this machine."""

    out: Path = Path("out/bench.json")
    """JSON file for all results."""
    docs: Path = DOCS
    """Folder for the Markdown table and the plot."""
    soak: bool = False
    """Run 10,000 frames instead of 1,500 in the memory test, and the long tests of test/."""
    model: str = "default"
    """The network as ONNX, for our node: a bundled name or a path."""
    checkpoint: str = "default"
    """The same network as safetensors, for the naive node."""


@dataclass
class Row:
    """One line of the table."""

    node: str
    camera: str
    cloud: bool
    subscribers: int
    per_second: float | None
    latency_ms: float
    cpu_ms: float
    wrong: int

    @classmethod
    def of(cls, name: str, load: Load, calm: Outcome, busy: Outcome | None) -> Row:
        """calm: at half the node's rate; busy: with more images than it can take, if measured."""
        height, width = load.size
        return cls(
            node=name,
            camera=f"{height}x{width}",
            cloud=load.cloud,
            subscribers=load.subscribers,
            per_second=round(busy.per_second, 2) if busy else None,
            latency_ms=round(calm.latency_ms, 2),
            cpu_ms=round(calm.cpu_ms, 2),
            wrong=calm.wrong + (busy.wrong if busy else 0),
        )


def bench(args: Args) -> int:
    """Run everything; returns the exit status: 1 if anything received was wrong."""
    began = time.monotonic()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with Laboratory(args.model, args.out.with_suffix(".log")) as laboratory:
        results = measure(laboratory, args, began)
    results["seconds"] = round(time.monotonic() - began, 1)
    write_figures(args.out, results)
    write_report(args.docs, results)
    log.info("wrote %s and %s in %.0f s", args.out, args.docs, results["seconds"])
    wrong = sum(row["wrong"] for row in results["table"])
    if wrong:
        raise MtpanoError(f"{wrong} sets of outputs had wrong content: see {args.out}")
    return long_tests() if args.soak else 0


def long_tests() -> int:
    """The tests marked `soak`; pytest's exit status."""
    command = [sys.executable, "-m", "pytest", "-m", "soak", "-q", "test"]
    return subprocess.call(command, cwd=ROOT, env={**os.environ, "MTPANO_SOAK": "1"})


def measure(laboratory: Laboratory, args: Args, began: float) -> dict[str, Any]:
    """All numbers by name."""
    facts = machine()
    if facts["load_before"] > 0.5:
        log.warning("the machine is busy (load %.1f): expect numbers that nobody can repeat",
                    facts["load_before"])  # fmt: skip
    ours = laboratory.start_ours("ours")
    naive = laboratory.start_naive("naive", args.checkpoint)
    stub = laboratory.start_stub("stub")
    headline = Headline(laboratory, ours, naive, stub)
    headline.run()
    growth = run_steadily(
        laboratory, SOAK_FRAMES if args.soak else STEADY_FRAMES, headline.our_rate
    )
    losses = camera_losses(laboratory, ours)
    startup = measure_startup(laboratory)
    steps = profile(
        laboratory.estimator, laboratory.picture(HEADLINE), HEADLINE, laboratory.free_domain()
    )
    table = headline.rows + further_rows(laboratory, headline, began)
    return {
        **headline.ratios(),
        "lost": losses["shipped"]["lost"],
        "sent": losses["shipped"]["sent"],
        "rss_growth": growth.ratio,
        "growth": growth.facts(),
        "camera_losses": losses,
        "startup": startup,
        "table": [vars(row) for row in table],
        "details": headline.details(),
        "profile_ms": steps,
        "roofline": roofline(laboratory.model),
        "machine": facts,
        "model": laboratory.model_facts(),
    }


class Headline:
    """The comparison that the ratios are about, in rounds."""

    def __init__(self, laboratory: Laboratory, ours: System, naive: System, stub: System) -> None:
        self._laboratory = laboratory
        self._ours, self._naive, self._stub = ours, naive, stub
        self._outcomes: dict[str, list[Outcome]] = {}
        self._engine_ms: list[float] = []
        self._copy_ms: list[float] = []
        self._pack: list[float] = []
        self.naive_rate = self.our_rate = 1.0

    def run(self) -> None:
        """Alternate between all that are compared."""
        laboratory = self._laboratory
        frame, picture, batch = laboratory.example(HEADLINE)
        cloud_bytes = published_bytes(frame.size, cloud=True)
        log.info("headline: how fast each can go")
        self.naive_rate = laboratory.sustainable(self._naive, HEADLINE, 4.0)
        self.our_rate = laboratory.sustainable(self._ours, HEADLINE, 16.0)
        laboratory.run(self._stub, Load(HEADLINE, STUB_RATE, 2.0))
        for number in range(ROUNDS):
            log.info("headline: round %d of %d", number + 1, ROUNDS)
            # Warm by now, both may go faster than before.
            self.naive_rate = self._busy("naive", self._naive, self.naive_rate)
            self.our_rate = self._busy("ours", self._ours, self.our_rate)
            self._run("naive calm", self._naive, self.naive_rate / 2, 3.0)
            self._run("ours calm", self._ours, self.our_rate / 2, 3.0)
            self._run("stub calm", self._stub, self.our_rate / 2, 1.0)
            self._run("stub busy", self._stub, STUB_RATE, 3.0)
            self._engine_ms.append(
                median_wall_ms(lambda: laboratory.estimator.infer(batch), repeats=8)
            )
            self._copy_ms.append(copy_ms(cloud_bytes))
            self._pack.append(pack_ms(frame, picture) / copy_ms(cloud_bytes[-1:]))

    def _busy(self, name: str, system: System, rate: float) -> float:
        """More than it can take; returns how much it could."""
        return self._run(f"{name} busy", system, 2 * rate, 2.0).per_second

    def _run(self, name: str, system: System, rate: float, seconds: float) -> Outcome:
        outcome = self._laboratory.run(system, Load(HEADLINE, rate, seconds))
        self._outcomes.setdefault(name, []).append(outcome)
        return outcome

    @property
    def compared(self) -> dict[str, tuple[System, float]]:
        """Name -> node and the images a second that it sustains."""
        return {"naive": (self._naive, self.naive_rate), "ours": (self._ours, self.our_rate)}

    @property
    def rows(self) -> list[Row]:
        """Its two lines of the table: medians over the rounds."""
        load = Load(HEADLINE, self.naive_rate, 0)
        rows = []
        for name in ("ours", "naive"):
            row = Row.of(name, load, self._outcomes[f"{name} calm"][0], None)
            row.per_second = round(self._median(f"{name} busy", "per_second"), 2)
            row.latency_ms = round(self._median(f"{name} calm", "latency_ms"), 2)
            row.cpu_ms = round(self._median(f"{name} calm", "cpu_ms"), 2)
            row.wrong = sum(
                outcome.wrong
                for mode in ("busy", "calm")
                for outcome in self._outcomes[f"{name} {mode}"]
            )
            rows.append(row)
        return rows

    def ratios(self) -> dict[str, float]:
        """Ours divided by what it is compared with."""
        sum_of_parts = median(self._engine_ms) + self._median("stub calm", "latency_ms")
        ratios = {
            "throughput_vs_naive": self._ratio("busy", "per_second"),
            "latency_vs_naive": self._ratio("calm", "latency_ms"),
            "cpu_vs_naive": self._ratio("calm", "cpu_ms"),
            "path_over_memcpy": self._median("stub busy", "cpu_ms") / median(self._copy_ms),
            "pack_over_memcpy": median(self._pack),
            "latency_over_parts": self._median("ours calm", "latency_ms") / sum_of_parts,
        }
        return {name: round(value, 3) for name, value in ratios.items()}

    def details(self) -> dict[str, Any]:
        """What the ratios were made from."""
        return {
            "engine_ms": round(median(self._engine_ms), 2),
            "memory_copy_ms": round(median(self._copy_ms), 3),
            "stub_cpu_ms": round(self._median("stub busy", "cpu_ms"), 2),
            "stub_latency_ms": round(self._median("stub calm", "latency_ms"), 2),
            "latency_ms": round(self._median("ours calm", "latency_ms"), 2),
            "rate": round(self.our_rate / 2, 2),
            "stages": self._outcomes["ours calm"][-1].diagnostics.get("latency", {}),
        }

    def _median(self, run: str, what: str) -> float:
        return median(getattr(outcome, what) for outcome in self._outcomes[run])

    def _ratio(self, mode: str, what: str) -> float:
        """Median over the rounds of the ratio within a round."""
        pairs = zip(self._outcomes[f"ours {mode}"], self._outcomes[f"naive {mode}"], strict=True)
        return median(getattr(ours, what) / getattr(naive, what) for ours, naive in pairs)


def further_rows(laboratory: Laboratory, headline: Headline, began: float) -> list[Row]:
    """Every other size, cloud and number of subscribers, once, as long as there is time."""
    rows = []
    for subscribers, cloud, size in product((1, 3), (True, False), SIZES):
        if (size, cloud, subscribers) == (HEADLINE, True, 1):
            continue
        for name, (system, rate) in headline.compared.items():
            # The naive node takes a second or more an image, and eight minutes are few.
            least = 2 if name == "naive" else 3
            load = Load(size, rate / 2, 1.5, cloud, subscribers, least=least)
            if time.monotonic() - began > TABLE_SECONDS:
                log.warning("out of time for %s: %s", name, load)
                continue
            calm = laboratory.run(system, load)
            # More subscribers take from the node's CPUs alike, busy or calm: once is enough.
            fast = replace(load, rate=2 * rate)
            busy = laboratory.run(system, fast) if subscribers == 1 else None
            rows.append(Row.of(name, load, calm, busy))
    return rows


def camera_losses(laboratory: Laboratory, ours: System) -> dict[str, dict[str, int]]:
    """Large images at 10 Hz from camera to node, over the shipped and the default transport."""
    losses = {}
    default = laboratory.start_ours("default", shipped_transport=False)
    for name, system, frames in (
        ("shipped", ours, LARGE_FRAMES), ("default", default, LARGE_FRAMES // 8),
    ):  # fmt: skip
        log.info("camera to node: %d images of 1024x2048, %s transport", frames, name)
        # The first run connects everybody; what is lost while that lasts is no camera's loss.
        laboratory.run(system, Load(LARGE, 10.0, 0.5, cloud=False, settle=SETTLE_SECONDS))
        before = laboratory.frames_received(system)
        load = Load(LARGE, 10.0, frames / 10.0, cloud=False, settle=SETTLE_SECONDS)
        outcome = laboratory.run(system, load)
        received = laboratory.frames_received(system) - before
        losses[name] = {"sent": outcome.sent, "received": received, "lost": outcome.sent - received}
    laboratory.stop(default)
    return losses
