"""One run: a camera, a node that is up already, and subscribers; over real DDS."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.measure import cpu_seconds
from mtpano_model.errors import MtpanoError
from mtpano_ros.children import Children

IMAGES = ("depth", "normals", "semantic", "camera_info")
CLOUD = "points"
# Longer than the period of /diagnostics, whose last counts are read after a run.
QUIET_SECONDS = 1.1
DRAIN_SECONDS = 90.0
# Share of one core that a node without work may use.
RESTING = 0.1

Watch = Callable[[int], None]


@dataclass(frozen=True)
class Load:
    """What the camera sends and who listens. size: (H, W) of the images; rate: a second."""

    size: tuple[int, int]
    rate: float
    seconds: float
    cloud: bool = True
    subscribers: int = 1
    settle: float = 0.0
    """Seconds to go on listening when all is over: /diagnostics come once a second."""

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

    @property
    def latency_ms(self) -> float:
        """Median latency."""
        return float(np.median(self.latencies)) if self.latencies else float("nan")


class RemoteListener:
    """A benchmarks.listener process and its side of the conversation."""

    def __init__(self, system: System) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.listener", *system.ros_args],
            env=dict(system.environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=system.log,
            text=True,
        )

    def ask(self, **command: Any) -> Any:
        """Send a command and wait for its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise MtpanoError("a listener of the benchmark has ended: the log says why")
        return json.loads(line)

    def close(self) -> None:
        """End it by the end of its input."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


@dataclass
class System:
    """A node under test in a namespace of its own, and the environment of all that meet it.

    patience: seconds without news until a run that has lost outputs is over.
    """

    name: str
    environment: Mapping[str, str]
    folder: Path
    log: IO[bytes]
    patience: float = QUIET_SECONDS

    def __post_init__(self) -> None:
        self.children = Children(self.environment, self.log)
        self._listeners: list[RemoteListener] = []

    @property
    def ros_args(self) -> list[str]:
        """The namespace, for all processes of this system."""
        return ["--ros-args", "-r", f"__ns:=/{self.name}"]

    @property
    def pid(self) -> int:
        """The node's process."""
        return self.children.pid(self.name)

    def start(self, module: str, *arguments: object) -> None:
        """Start the node."""
        self.children.start(self.name, module, *arguments)

    def stop(self) -> None:
        """End the node and the listeners."""
        self.children.stop(self.name)
        for listener in self._listeners:
            listener.close()

    def run(
        self, load: Load, references: Path, panoramas: Path, watch: Watch = lambda _: None
    ) -> Outcome:
        """Send a stream and collect what comes out; `watch` is told how much, again and again."""
        while len(self._listeners) < load.subscribers:
            self._listeners.append(RemoteListener(self))
        listeners = self._listeners[: load.subscribers]
        topics = (*IMAGES, CLOUD) if load.cloud else IMAGES
        for listener in listeners:
            found = listener.ask(listen=topics, references=str(references))
            if found != "ready":
                reason = self.children.failure() or found
                raise MtpanoError(f"{self.name}: {reason}; {self.log.name} may say why")
        before = cpu_seconds(self.pid)
        with Children(self.environment, self.log) as camera:
            report = self._play(load, panoramas, camera)
            self._wait(load, listeners[0], camera, watch)
            time.sleep(load.settle)
        used = cpu_seconds(self.pid) - before
        sent = int(json.loads(report.read_text())["sent"])
        return outcome(sent, used, [listener.ask(results=True) for listener in listeners])

    def _play(self, load: Load, panoramas: Path, camera: Children) -> Path:
        report = self.folder / "camera.json"
        height, width = load.size
        camera.start(
            "camera", "mtpano_ros.player", panoramas, "--size", f"{width}x{height}",
            "--rate", load.rate, "--frames", load.frames, "--wait-for-subscribers", 1,
            "--report", report, *self.ros_args,
        )  # fmt: skip
        return report

    def _wait(self, load: Load, first: RemoteListener, camera: Children, watch: Watch) -> None:
        """Until all is there, or nothing comes and the node rests: first it works off its queue."""
        deadline = time.monotonic() + 2 * load.frames / load.rate + DRAIN_SECONDS
        last, news, used = -1, time.monotonic(), 0.0
        while time.monotonic() < deadline:
            for children in (self.children, camera):
                if failure := children.failure():
                    raise MtpanoError(f"{failure}: {self.log.name} says why")
            time.sleep(0.1)
            complete = first.ask(count=True)
            watch(complete)
            playing = camera.status("camera") is None
            now, cpu = time.monotonic(), cpu_seconds(self.pid)
            if playing or complete != last:
                last, news, used = complete, now, cpu
            if not playing and complete == load.frames:
                return
            if now - news > self.patience:
                if cpu - used < RESTING * self.patience:
                    return
                news, used = now, cpu
        raise MtpanoError(f"{self.name} does not come to rest: {self.log.name} may say why")


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
    )
