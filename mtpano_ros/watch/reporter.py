"""Publishes the DiagnosticArray of the node; `diagnostics` says what stands in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from mtpano_model.errors import one_line
from mtpano_model.pictures.size import size_text
from mtpano_ros.doctor.transport import lossy_transport
from mtpano_ros.topics import DIAGNOSTICS, overridable
from mtpano_ros.watch.diagnostics import UNKNOWN, Statistics, slow_publishing, status

if TYPE_CHECKING:
    from mtpano_model.graph.model_info import ModelInfo
    from mtpano_model.inference.engines.progress import BuildProgress


class Reporter:
    """Publishes one DiagnosticArray at each call of `publish` and each change of state.

    model: of the loaded engine, None without one; whoever loads it sets it.
    misfit: why the topic's qos_overrides were not taken, empty if they were.
    """

    def __init__(self, node: Node, statistics: Statistics) -> None:
        self.model: ModelInfo | None = None
        self._node, self._statistics = node, statistics
        self._state, self._problem, self._progress = "unconfigured", "", ""
        self._troubles = 0
        self.misfit = ""
        try:
            self._publisher = DIAGNOSTICS.publisher(node, overridable())
        except Exception as error:  # of rclpy or the middleware: it must be possible to say so
            self.misfit = one_line(error)
            self._publisher = DIAGNOSTICS.publisher(node)

    def state(self, state: str, problem: str = "") -> None:
        """Enter a state, and why if a better one could not be entered; published at once."""
        self._state, self._problem = state, problem
        self.publish()

    def progress(self, line: str) -> None:
        """The latest line that a load or an engine build has logged."""
        self._progress = line

    def building(self, build: BuildProgress) -> None:
        """How far an engine build is; called from threads of the engine's library."""
        self.progress(f"building: {build.fraction:.0%}, {build.phase}, {build.seconds:.0f} s")

    def publish(self, silence: float = 0.0, trouble: str = "", resting: bool = False) -> None:
        """Publish the state of everything now.

        silence: seconds without an image, if that is too long. trouble: why images do not get
        through the network at the moment. resting: no image is taken, since nobody wants one.
        """
        name = self._node.get_fully_qualified_name()
        message = DiagnosticArray(status=[
            status(name, "engine", *self._engine(self._problem or trouble)),
            status(name, "frames", *self._frames(silence, resting)),
            status(name, "camera", *self._statistics.camera.status()),
            status(name, "latency", *self._latency()),
            status(name, "geometry", *self._statistics.geometry.status()),
        ])  # fmt: skip
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def _engine(self, problem: str) -> tuple[bytes, str, dict[str, str]]:
        values = {"state": self._state}
        model = self.model  # a transition in another thread may take it away
        if model is not None:
            values |= {
                "backend": model.backend,
                "device": model.device,
                "precision": model.precision,
                "model": str(model.path),
                "preset": model.preset,
                "revision": model.revision,
                "classes": str(len(model.classes)),
                "input_size": size_text(model.input_size),
            }
        lossy = lossy_transport()
        values |= {"progress": self._progress, "problem": problem, "transport": lossy or "good"}
        if problem:
            return DiagnosticStatus.ERROR, problem, values
        if lossy:
            return DiagnosticStatus.WARN, f"{self._state}; {lossy}", values
        return DiagnosticStatus.OK, self._state, values

    def _frames(self, silence: float, resting: bool) -> tuple[bytes, str, dict[str, str]]:
        counts = self._statistics.counts()
        troubles = counts["skipped"] + counts["non_finite"]
        new, self._troubles = troubles - self._troubles, troubles
        values = self._statistics.frames()
        if silence:
            return DiagnosticStatus.WARN, f"no image for {silence:.0f} s", values
        if new:
            return DiagnosticStatus.WARN, f"{new} images skipped or not finite", values
        if resting and self._state == "active":
            return DiagnosticStatus.OK, "nobody subscribes to an output", values
        if self._statistics.failing and self._state == "active":
            return DiagnosticStatus.WARN, "the last image was skipped", values
        return DiagnosticStatus.OK, f"{values['rate_hz']} Hz", values

    def _latency(self) -> tuple[bytes, str, dict[str, str]]:
        values = self._statistics.latency()
        if values.get("transport_median_ms") == UNKNOWN:
            why = "unknown: the stamps of the camera are 0 or of another clock than the node's"
            return DiagnosticStatus.WARN, why, values
        if held := slow_publishing(values):
            return DiagnosticStatus.WARN, held, values
        return DiagnosticStatus.OK, "milliseconds", values
