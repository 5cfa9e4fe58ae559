"""One run: a camera, a node that is up already, and subscribers; over real DDS."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.measure import cpu_seconds
from benchmarks.remote import Remote
from mtpano_model.errors import MtpanoError
from mtpano_model.inference.postprocess_rules import USUAL_FINISH, DepthFinish
from mtpano_ros.tools.children import Children

IMAGES = ("depth", "normals", "semantic", "camera_info")
CLOUD = "points"
# Longer than an image is under way.
QUIET_SECONDS = 1.1
POLL_SECONDS = 0.05
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
    least: int = 3
    """Images to send even if they take longer than `seconds`; three make a median."""

    @property
    def frames(self) -> int:
        """Images that the camera sends."""
        return max(self.least, round(self.rate * self.seconds))


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


@dataclass
class System:
    """A node under test in a namespace of its own, and the environment of all that meet it.

    patience: seconds without news until a run that has lost outputs is over. depth_finish: what the
    node does to depth, as in ValueRules.
    """

    name: str
    environment: Mapping[str, str]
    folder: Path
    log: IO[bytes]
    patience: float = QUIET_SECONDS
    depth_finish: DepthFinish = USUAL_FINISH

    def __post_init__(self) -> None:
        self.children = Children(self.environment, self.log)
        self._listeners: list[Remote] = []
        self._camera: Remote | None = None

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
        """End the node, the listeners and the camera."""
        self.children.stop(self.name)
        for remote in (*self._listeners, *([self._camera] if self._camera else [])):
            remote.close()

    def run(self, load: Load, references: Path, watch: Watch = lambda _: None) -> Outcome:
        """Send a stream and collect what comes out; `watch` is told how much, again and again."""
        while len(self._listeners) < load.subscribers:
            self._listeners.append(self.remote("benchmarks.listener"))
        if self._camera is None:
            self._camera = self.remote("benchmarks.camera")
        listeners = self._listeners[: load.subscribers]
        topics = (*IMAGES, CLOUD) if load.cloud else IMAGES
        for listener in listeners:
            found = listener.ask(listen=topics, references=str(references))
            if found != "ready":
                reason = self.children.failure() or found
                raise MtpanoError(f"{self.name}: {reason}; {self.log.name} may say why")
        before = cpu_seconds(self.pid)
        sent = self._play(load, self._camera, listeners[0], watch)
        used = cpu_seconds(self.pid) - before
        time.sleep(load.settle)
        return outcome(sent, used, [listener.ask(results=True) for listener in listeners])

    def remote(self, module: str) -> Remote:
        """A process that meets the node."""
        return Remote(module, self.ros_args, self.environment, self.log)

    def _play(self, load: Load, camera: Remote, first: Remote, watch: Watch) -> int:
        """Until all is there, or nothing comes and the node rests: first it works off its queue.

        Returns how many images were sent.
        """
        height, width = load.size
        camera.ask(play={"size": [width, height], "rate": load.rate, "frames": load.frames})
        deadline = time.monotonic() + 2 * load.frames / load.rate + DRAIN_SECONDS
        last, news, used = -1, time.monotonic(), 0.0
        while time.monotonic() < deadline:
            if failure := self.children.failure():
                raise MtpanoError(f"{failure}: {self.log.name} says why")
            time.sleep(POLL_SECONDS)
            complete, sent = first.ask(count=True), camera.ask(sent=True)
            watch(complete)
            now, cpu = time.monotonic(), cpu_seconds(self.pid)
            if sent is None or complete != last:
                last, news, used = complete, now, cpu
            if sent is not None and complete == load.frames:
                return int(sent)
            if now - news > self.patience:
                if sent is not None and cpu - used < RESTING * self.patience:
                    return int(sent)
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
