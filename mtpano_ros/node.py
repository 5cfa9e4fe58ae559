"""The lifecycle node: a 360 degree camera in; depth, normals, semantics and a cloud out.

    ros2 run mtpano_ros pano_node --ros-args -r __ns:=/mtpano -r image:=/camera/image

Interface, parameters and diagnostics: docs/node.md.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import cv2
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn

from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.memory import keep_freed_memory
from mtpano_model.pictures.output_size import parse_output_size
from mtpano_model.pictures.size import size_text
from mtpano_ros.parameters.ros import ParameterNode
from mtpano_ros.process.running import run
from mtpano_ros.refused_transitions import answer_refused_transitions
from mtpano_ros.watch.diagnostics import Statistics
from mtpano_ros.watch.health import Health
from mtpano_ros.watch.logs import LogForwarder
from mtpano_ros.watch.qos_watch import QosWatch
from mtpano_ros.watch.reporter import Reporter
from mtpano_ros.watch.telling import Teller
from mtpano_ros.watch.unmade_watch import UnmadeWatch

if TYPE_CHECKING:
    from mtpano_model.inference import Estimator
    from mtpano_ros.camera.source import Source
    from mtpano_ros.listening import Listening
    from mtpano_ros.outputs.publishers import Publishers

# Seconds to wait for an image in the network. At the end of the process it must be less than the
# five seconds after which launch sends the next signal.
_PATIENCE = 10.0
_PATIENCE_AT_THE_END = 3.5
# Seconds for a model that loads, or for a loop that numba compiles, when the process ends.
_PATIENCE_WHILE_LOADING = 1.0
# Freed memory that is kept: an image passes through three blocks of its size.
_RESERVE_BYTES = 64 * 2**20

_STUCK = (
    "an image is still in the network, because its engine hangs: clean up and configure to load "
    "another engine, or start the process again"
)

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class PanoNode(LifecycleNodeMixin, ParameterNode):
    """configure loads the model, activate listens, deactivate stops, cleanup frees.

    broken: the network has failed so often that only a new process can help.
    """

    def __init__(self, name: str = "pano_node", **options: Any) -> None:
        ParameterNode.__init__(self, name, **options)
        # Transitions may take minutes (an engine build); a group of their own that admits several
        # callbacks at once keeps get_state answering.
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        answer_refused_transitions(self, self.get_logger())
        self._estimator: Estimator | None = None
        self._output_publishers: Publishers | None = None
        self._source: Source | None = None
        self._advice: str | None = None
        self.declare_settings(changed=self._advise)
        self._in_transition = threading.Lock()
        self._ending = threading.Event()
        self.broken = False
        self._tell = Teller(self.get_logger())
        self._statistics = Statistics()
        self._reporter = Reporter(self, self._statistics)
        self._logs = LogForwarder(self.get_logger(), self._reporter.progress)
        self._qos_watch, self._unmade_watch = QosWatch(self), UnmadeWatch(self)
        self._noted = {""}  # what outputs had to say
        self._listening: Listening | None = None
        # Under use_sim_time the node's own clock may stand still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._tick, MutuallyExclusiveCallbackGroup(), clock=steady)
        if self._settings.current.autostart:
            self._autostart = self.create_timer(
                0.0, self._start, MutuallyExclusiveCallbackGroup(), clock=steady
            )

    # --- transitions ----------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model and create the publishers; FAILURE with one line where that fails."""
        with self._in_transition:
            self._reporter.state("configuring")
            try:
                self._configure()
            except Exception as error:  # also of an engine or the middleware: never a crash
                problem = one_line(error)
            else:
                self._reporter.state("inactive")
                return SUCCESS
            self._free(_PATIENCE)
            if not self._ending.is_set():
                self.get_logger().error(f"configure failed: {problem}")
            self._reporter.state("unconfigured", problem)
            return FAILURE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the camera; FAILURE with one line where that fails."""
        with self._in_transition:
            if self._ending.is_set():
                return FAILURE
            if not self._deactivate(timeout=0.0):  # of what hung at the last deactivation
                return self._activate_failed(_STUCK)
            try:
                from mtpano_ros.listening import Listening

                estimator, made, source = self._estimator, self._output_publishers, self._source
                assert estimator is not None
                assert made is not None
                assert source is not None
                self._listening = Listening(self._statistics)
                self._listening.open(self, estimator, made, source, self._settings, self._tell)
            except Exception as error:  # of the middleware, or of a qos_override
                self._deactivate(_PATIENCE)
                return self._activate_failed(one_line(error))
            self._reporter.state("active")
            return SUCCESS

    def _activate_failed(self, problem: str) -> TransitionCallbackReturn:
        self.get_logger().error(f"activate failed: {problem}")
        self._reporter.state("inactive", problem)
        return FAILURE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, and finish the images under way."""
        with self._in_transition:
            ended = self._deactivate(_PATIENCE)
            if not ended:
                self._tell.error("stop", _STUCK)
            self._reporter.state("inactive", "" if ended else _STUCK)
            return SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model and destroy the publishers."""
        with self._in_transition:
            self._free(_PATIENCE)
            self._reporter.state("unconfigured")
            return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As deactivate and cleanup."""
        with self._in_transition:
            self._free(_PATIENCE)
            self._reporter.state("finalized")
            return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured."""
        return self.on_cleanup(state)

    def close(self, timeout: float = _PATIENCE_AT_THE_END) -> bool:
        """Free everything before the process ends; False if something takes longer than that."""
        deadline = time.monotonic() + timeout
        self._ending.set()
        patience = timeout if self._listening else min(timeout, _PATIENCE_WHILE_LOADING)
        if not self._in_transition.acquire(timeout=patience):
            return False
        try:
            self._logs.close()
            return self._free(max(0.1, deadline - time.monotonic()))
        finally:
            self._in_transition.release()

    def destroy_node(self) -> None:
        """As Node.destroy_node, of the lifecycle's part as well.

        rclpy leaves the state machine to the garbage collector, and with it the DDS participant:
        a process that makes many nodes would soon find no other on its host.
        """
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    def _start(self) -> None:
        self._autostart.cancel()
        if self.trigger_configure() == SUCCESS and not self._ending.is_set():
            self.trigger_activate()

    def _configure(self) -> None:
        self._settings.look_for_unread()
        problems = [*self._settings.problems.values(), self._reporter.misfit]
        if any(problems):
            raise MtpanoError("; ".join(filter(None, problems)))
        # Here, so that the process answers before they are loaded.
        from mtpano_model.inference import load_estimator
        from mtpano_ros.camera.opening import open_source
        from mtpano_ros.frames.loops import load_loops
        from mtpano_ros.outputs.publishers import Publishers
        from mtpano_ros.outputs.table import OUTPUTS

        settings = self._settings.current  # a levelled answer is turned back on a smaller grid
        size = parse_output_size(settings.outputs.size) if settings.level == "off" else None
        # First, as an engine may take minutes to be built.
        self._source, oddities = open_source(settings.rig, settings.image_transport)
        for oddity in oddities:
            self.get_logger().warning(oddity)
        self._estimator = load_estimator(
            settings.model,
            settings.backend,
            settings.device,
            settings.threads or None,
            None if settings.precision == "auto" else settings.precision,
            compiled=None,
            keep=True,
            progress=self._reporter.building,
            cancel=self._ending,
            output_size=size,
        )
        info = self._estimator.info
        outputs = [output(info, settings) for output in OUTPUTS]
        load_loops(settings)
        for note in [one.note for one in outputs if one.note not in self._noted]:
            self.get_logger().info(note)
            self._noted.add(note)
        self._output_publishers = Publishers(self, outputs)
        self._reporter.model = info
        self.get_logger().info(
            f"{info.path.name} ({info.preset}, {size_text(info.input_size)}) on "
            f"{info.backend}, {info.device}, {info.precision}"
        )
        self._advise(earlier="")

    def _deactivate(self, timeout: float) -> bool:
        """False if an image under way does not end within `timeout` seconds."""
        if self._listening is not None and not self._listening.close(timeout):
            return False
        self._listening = None
        return True

    def _free(self, timeout: float) -> bool:
        ended = self._deactivate(timeout)
        if not ended and not self._ending.is_set():
            self._tell.error("stop", "an image hangs in the network: its engine stays in memory")
        if self._listening is not None:
            self._listening.leave()
        if self._output_publishers is not None:
            self._output_publishers.close()
        if self._estimator is not None and ended:
            self._estimator.close()
        self._listening = self._output_publishers = self._estimator = self._reporter.model = None
        return ended

    # --- parameters and the state of things -----------------------------------------------------

    def _advise(self, earlier: str | None = None) -> None:
        """Say if an output may be too large for the transport, unless that was said earlier."""
        # A transition in another thread may take them away.
        estimator, publishers = self._estimator, self._output_publishers
        if estimator is not None and publishers is not None:
            from mtpano_ros.outputs.transport_advice import transport_advice

            size, said = estimator.info.input_size, self._advice if earlier is None else earlier
            self._advice = transport_advice(publishers.outputs, self._settings.current, size)
            if self._advice and self._advice != said:
                self.get_logger().warning(self._advice)

    def _tick(self) -> None:
        """Once a second: look at the graph, publish diagnostics."""
        timeout, health = self._settings.current.image_timeout, Health()
        # Publishers must not vanish under the look at them; a transition reports by itself.
        if self._in_transition.acquire(blocking=False):
            try:
                if self._output_publishers is not None:
                    self._qos_watch.check(self._output_publishers.publishers, None)
                    self._unmade_watch.check()
                if self._listening is not None:
                    health = self._listening.look(timeout, self._qos_watch)
                    self.broken = health.broken
            finally:
                self._in_transition.release()
        if health.trouble:
            self._tell.error("network", health.trouble)
        silence = health.silence if health.silence > timeout else 0.0
        self._reporter.publish(silence, health.trouble, health.resting)


def main(args: list[str] | None = None) -> int:
    """Entry point of `pano_node`; returns the exit status."""
    # OpenCV's pool spins between calls: more processor time than the short calls here can save.
    cv2.setNumThreads(1)
    keep_freed_memory(_RESERVE_BYTES)
    return run(PanoNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
