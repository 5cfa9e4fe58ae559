"""The node's statuses on /diagnostics: state, counts and times.

Five statuses, named `<node>: engine`, `<node>: frames`, `<node>: camera`, `<node>: latency` and
`<node>: geometry`, where `<node>` is the fully qualified name (`/mtpano/pano_node`). Every value is
a string, numbers are plain decimals. camera/state.py and mounting/state.py list the keys of camera
and geometry.

engine
    state               unconfigured, configuring, inactive, active or finalized
    backend, device, precision          of the engine that runs
    model, preset, revision, classes    file, its size, its commit, how many classes
    input_size          of the network, HEIGHTxWIDTH
    progress            last line of a load or an engine build
    problem             why the last configure or activate failed, or why images do not get through
                        the network; empty if all is well
    transport           good, or why large messages may be lost on this host (Fast DDS only; WARN)
frames
    rate_hz             processed images a second, over the last seconds or the last two images
    age_s               since the last processed image, empty before the first
    output_size         of the last processed image, HEIGHTxWIDTH
    received            images that arrived while the node was active
    processed           images that came out
    dropped             replaced by a newer image before the network took them
    idle                arrived while nobody subscribed to an output: few, since the node then
                        unsubscribes from the camera, unless keep_subscribed is set
    skipped             could not be used: the sum of the skipped_<reason>, one for each of
                        SKIP_REASONS
    pending             under way: received = processed + dropped + idle + skipped + pending
    non_finite          processed images for which the network gave NaN or infinity
latency
    <stage>_median_ms, <stage>_p95_ms   over the last 100 images, for each of STAGES

Stages: `transport` (the image's stamp to its arrival), `wait` (between stages, in all),
`preprocess` (decode and resize), `inference`, `postprocess`, `publish` (cloud, messages, sending)
and `end_to_end` (the image's stamp to the end of publish). If the camera's stamps are 0 or of
another clock than the node's, transport and end_to_end are `unknown`, and the level is WARN.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from mtpano_model.pictures.size import size_text
from mtpano_ros.camera.state import CameraState
from mtpano_ros.mounting.state import GeometryState

STAGES = (
    "transport",
    "wait",
    "preprocess",
    "inference",
    "postprocess",
    "publish",
    "end_to_end",
)
SKIP_REASONS = (
    "encoding",
    "single_channel",
    "data",
    "step",
    "size",
    "aspect",
    "compressed",
    "stamp",
    "inference",
    "internal",
)
RATE_SECONDS = 5.0
SAMPLES = 100
UNKNOWN = "unknown"
_SLOW_PUBLISHING = 400.0  # milliseconds; 0.3 s was measured on a busy machine without any fault


class Statistics:
    """Counts and times of the images of one node; every method may be called from any thread.

    camera: what is listened to. geometry: level and scale of the last image. failing: whether the
    last image that was dealt with had to be skipped.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.camera = CameraState()
        self.geometry = GeometryState()
        self._counts: Counter[str] = Counter()
        self._times: dict[str, deque[float]] = {stage: deque(maxlen=SAMPLES) for stage in STAGES}
        self._finished: deque[float] = deque(maxlen=1000)
        self._output_size = ""
        self.failing = False

    def count(self, what: str) -> None:
        """Add one to received, dropped, idle, non_finite or skipped_<reason>."""
        with self._lock:
            self._counts[what] += 1
            if what.startswith("skipped_"):
                self.failing = True
            elif what == "idle":
                self.failing = False

    def processed(self, milliseconds: Mapping[str, float], output_size: tuple[int, int]) -> None:
        """One image came out: its time by stage, and the (H, W) of its outputs."""
        with self._lock:
            self._counts["processed"] += 1
            self.failing = False
            self._finished.append(time.monotonic())
            self._output_size = size_text(output_size)
            for stage, value in milliseconds.items():
                self._times[stage].append(value)

    def median(self, stage: str) -> float:
        """Milliseconds that `stage` usually takes, 0 before the first image."""
        with self._lock:
            times = self._times[stage]
            return float(np.median(times)) if times else 0.0

    def counts(self) -> dict[str, int]:
        """All counts by the key under which they are published."""
        with self._lock:
            counts = self._counts.copy()
        reasons = {f"skipped_{reason}": counts[f"skipped_{reason}"] for reason in SKIP_REASONS}
        known = {name: counts[name] for name in ("received", "processed", "dropped", "idle")}
        known["skipped"] = sum(reasons.values())
        pending = known["received"] - sum(known[n] for n in known if n != "received")
        return {**known, **reasons, "non_finite": counts["non_finite"], "pending": pending}

    def frames(self) -> dict[str, str]:
        """Keys and values of the status `frames`."""
        now = time.monotonic()
        with self._lock:
            recent = [moment for moment in self._finished if now - moment < RATE_SECONDS]
            if len(recent) < 2:
                recent = list(self._finished)[-2:]
            age = f"{now - self._finished[-1]:.3f}" if self._finished else ""
            size = self._output_size
        rate = _rate(recent, now)
        counts = {name: str(number) for name, number in self.counts().items()}
        return {"rate_hz": f"{rate:.2f}", "age_s": age, "output_size": size, **counts}

    def latency(self) -> dict[str, str]:
        """Keys and values of the status `latency`."""
        with self._lock:
            times = {stage: list(values) for stage, values in self._times.items() if values}
        values = {}
        for stage, samples in times.items():
            known = sorted(value for value in samples if not math.isnan(value))
            p95 = known[round(0.95 * (len(known) - 1))] if known else None
            values[f"{stage}_median_ms"] = f"{np.median(known):.3f}" if known else UNKNOWN
            values[f"{stage}_p95_ms"] = UNKNOWN if p95 is None else f"{p95:.3f}"
        return values


def slow_publishing(latency: Mapping[str, str]) -> str:
    """What to say where publishing takes so long that the network waits for it; empty if not."""
    publish, network = (float(latency.get(f"{s}_p95_ms", 0)) for s in ("publish", "inference"))
    if publish < _SLOW_PUBLISHING or publish < 2 * network:
        return ""
    return (
        f"publishing takes up to {publish:.0f} ms, which holds up every subscriber: is one of them "
        "stopped (a frozen RViz, a debugger)? Kill it, or set cloud.stride"
    )


def _rate(moments: list[float], now: float) -> float:
    """Images a second. n of them span n - 1 intervals; one that is overdue slows the rate down."""
    number = len(moments)
    if number < 2:
        return 0.0
    expected = (now - moments[0]) * (number - 1) / number
    span = max(moments[-1] - moments[0], expected)
    return (number - 1) / span if span else 0.0


def status(
    node: str, subject: str, level: bytes, message: str, values: Mapping[str, str]
) -> DiagnosticStatus:
    """One status of the table above; `node` is the fully qualified name."""
    return DiagnosticStatus(
        level=level,
        name=f"{node}: {subject}",
        message=message,
        hardware_id=node,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
