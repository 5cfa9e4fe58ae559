"""Publishes /diagnostics: what the node knows of itself, in the words of `diagnostics`."""

from __future__ import annotations

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos_overriding_options import QoSOverridingOptions

from mtpano_model.inference.engines.tensorrt_progress import BuildProgress
from mtpano_model.inference.model_info import ModelInfo
from mtpano_ros.diagnostics import Statistics, size_text, status
from mtpano_ros.topics import DIAGNOSTICS, overridable, publisher_events


class Reporter:
    """One DiagnosticArray a call of `publish` and a change of state.

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
            self._publisher = self._create(overridable())
        except Exception as error:  # of rclpy or the middleware: it must be possible to say so
            self.misfit = f"qos_overrides.{DIAGNOSTICS.name}: {error}"
            self._publisher = self._create(None)

    def state(self, state: str, problem: str = "") -> None:
        """Enter a state, and why if a better one could not be entered; published at once."""
        self._state, self._problem = state, problem
        self.publish()

    def progress(self, line: str) -> None:
        """The latest word of a load or an engine build."""
        self._progress = line

    def building(self, build: BuildProgress) -> None:
        """How far an engine build is; called from threads of the engine's library."""
        self.progress(f"building: {build.fraction:.0%}, {build.phase}, {build.seconds:.0f} s")

    def publish(self, silence: float = 0.0, trouble: str = "") -> None:
        """Say everything now.

        silence: seconds without an image, if that is too long. trouble: why images do not get
        through the network at the moment.
        """
        name = self._node.get_fully_qualified_name()
        message = DiagnosticArray(status=[
            status(name, "engine", *self._engine(self._problem or trouble)),
            status(name, "frames", *self._frames(silence)),
            status(name, "latency", DiagnosticStatus.OK, "milliseconds",
                   self._statistics.latency()),
        ])  # fmt: skip
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)

    def _create(self, overrides: QoSOverridingOptions | None) -> Publisher:
        return self._node.create_publisher(
            DIAGNOSTICS.type,
            DIAGNOSTICS.name,
            DIAGNOSTICS.qos,
            event_callbacks=publisher_events(),
            qos_overriding_options=overrides,
        )

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
        values |= {"progress": self._progress, "problem": problem}
        level = DiagnosticStatus.ERROR if problem else DiagnosticStatus.OK
        return level, problem or self._state, values

    def _frames(self, silence: float) -> tuple[bytes, str, dict[str, str]]:
        counts = self._statistics.counts()
        troubles = counts["skipped"] + counts["non_finite"]
        new, self._troubles = troubles - self._troubles, troubles
        values = self._statistics.frames()
        if silence:
            return DiagnosticStatus.WARN, f"no image for {silence:.0f} s", values
        if new:
            return DiagnosticStatus.WARN, f"{new} images skipped or not finite", values
        if self._statistics.failing:
            return DiagnosticStatus.WARN, "the last image was skipped", values
        return DiagnosticStatus.OK, f"{values['rate_hz']} Hz", values
