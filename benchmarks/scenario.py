"""One run: a camera, a node that is up already, and subscribers; over real DDS."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.measure import cpu_seconds
from mtpano_model.errors import MtpanoError
from mtpano_ros.children import Children

IMAGES = ("depth", "normals", "semantic", "camera_info")
CLOUD = "points"
MATCH_SECONDS = 30.0
# Longer than the period of /diagnostics, whose last counts are read after a run.
QUIET_SECONDS = 1.1
DRAIN_SECONDS = 60.0
# Share of one core that a node without work may use.
RESTING = 0.1


@dataclass(frozen=True)
class Load:
    """What the camera sends and who listens. size: (H, W) of the images; rate: a second."""

    size: tuple[int, int]
    rate: float
    seconds: float
    cloud: bool = True
    subscribers: int = 1

    @property
    def frames(self) -> int:
        """Images that the camera sends; three at least make a median."""
        return max(3, round(self.rate * self.seconds))


@dataclass
class Outcome:
    """What one run gave. latencies: camera's stamp to the last output, ms, first subscriber."""

    sent: int
    complete: int
    wrong: int
    per_second: float
    cpu_ms: float
    latencies: list[float] = field(default_factory=list)
    diagnostics: dict[str, dict[str, str]] = field(default_factory=dict)
    received_by_all: bool = True

    @property
    def latency_ms(self) -> float:
        """Median latency."""
        return float(np.median(self.latencies)) if self.latencies else float("nan")


@dataclass
class System:
    """A node under test in a namespace of its own, and the environment of all that meet it."""

    name: str
    environment: Mapping[str, str]
    children: Children
    folder: Path
    log: IO[bytes]

    @property
    def ros_args(self) -> list[str]:
        return ["--ros-args", "-r", f"__ns:=/{self.name}"]

    @property
    def pid(self) -> int:
        """The node's process."""
        return self.children.pid(self.name)

    def start(self, module: str, *arguments: object) -> None:
        """Start the node."""
        self.children.start(self.name, module, *arguments)

    def run(self, load: Load, references: Path, panoramas: Path) -> Outcome:
        """Send a stream and collect what comes out."""
        with ExitStack() as stack:
            around = stack.enter_context(Children(self.environment, self.log))
            results = [self.folder / f"listener_{i}.json" for i in range(load.subscribers)]
            topics = (*IMAGES, CLOUD) if load.cloud else IMAGES
            for index, path in enumerate(results):
                path.unlink(missing_ok=True)
                around.start(
                    f"listener {index}", "benchmarks.listener",
                    path, references, *topics, *self.ros_args,
                )  # fmt: skip
            self._wait(lambda: all(path.exists() for path in results), around)
            before = cpu_seconds(self.pid)
            sent = self._play(load, panoramas, around)
            self._wait_until_quiet(results[0], sent)
            used = cpu_seconds(self.pid) - before
            around.stop(*(f"listener {i}" for i in range(load.subscribers)))
        return outcome(sent, used, [json.loads(path.read_text()) for path in results])

    def _play(self, load: Load, panoramas: Path, around: Children) -> int:
        report = self.folder / "camera.json"
        height, width = load.size
        around.start(
            "camera", "mtpano_ros.player", panoramas, "--size", f"{width}x{height}",
            "--rate", load.rate, "--frames", load.frames, "--wait-for-subscribers", 1,
            "--report", report, *self.ros_args,
        )  # fmt: skip
        self._wait(lambda: around.status("camera") is not None, around, load.frames / load.rate)
        return int(json.loads(report.read_text())["sent"])

    def _wait_until_quiet(self, results: Path, sent: int) -> None:
        """Until all is there, or nothing comes and the node rests: first it works off its queue."""
        deadline = time.monotonic() + DRAIN_SECONDS
        before: tuple[int, float] = (-1, 0.0)
        looked = 0.0
        while time.monotonic() < deadline:
            complete = json.loads(results.read_text())["complete"]
            if complete == sent:
                return
            if time.monotonic() - looked > QUIET_SECONDS:
                now = complete, cpu_seconds(self.pid)
                if now[0] == before[0] and now[1] - before[1] < RESTING * QUIET_SECONDS:
                    return
                before, looked = now, time.monotonic()
            time.sleep(0.1)

    def _wait(self, done: Callable[[], bool], around: Children, seconds: float = 0.0) -> None:
        deadline = time.monotonic() + 2 * seconds + MATCH_SECONDS
        while not done():
            for children in (self.children, around):
                if failure := children.failure():
                    raise MtpanoError(f"{failure}: {self.log.name} says why")
            if time.monotonic() > deadline:
                raise MtpanoError(f"{self.name} is not ready in time: {self.log.name} may say why")
            time.sleep(0.02)


def outcome(sent: int, cpu: float, results: list[dict[str, Any]]) -> Outcome:
    """Put together what the subscribers wrote down."""
    first = results[0]
    stamps, arrivals = np.array(first["stamps"]), np.array(first["arrivals"])
    complete = first["complete"]
    # From the first image on: a transport that holds outputs back, then brings them in one go,
    # has not made the node any faster.
    span = (arrivals[-1] - stamps[0]) * 1e-9 if complete else 1.0
    return Outcome(
        sent=sent,
        complete=complete,
        wrong=sum(result["wrong_count"] for result in results),
        per_second=float(complete / span),
        cpu_ms=cpu * 1e3 / complete if complete else float("nan"),
        latencies=((arrivals - stamps) * 1e-6).tolist(),
        diagnostics=first["diagnostics"],
        received_by_all=len({result["complete"] for result in results}) == 1,
    )
