"""The lifecycle node: a 360 degree camera in; depth, normals, semantics and a cloud out.

    ros2 run mtpano_ros pano_node --ros-args -r __ns:=/mtpano -r image:=/camera/image

Interface, parameters and diagnostics: docs/node.md.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import cv2
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription
from std_msgs.msg import Header

from mtpano_model.errors import MtpanoError
from mtpano_model.inference import Estimator, load_estimator
from mtpano_model.memory import keep_freed_memory
from mtpano_ros import parameters as parameter_table
from mtpano_ros.camera_thread import CameraThread, NoExecutor
from mtpano_ros.diagnostics import Statistics
from mtpano_ros.frame_path import FramePath
from mtpano_ros.image_watch import ImageWatch
from mtpano_ros.logs import LogForwarder
from mtpano_ros.network_watch import is_broken, network_trouble
from mtpano_ros.outputs import Outputs
from mtpano_ros.qos_watch import QosWatch
from mtpano_ros.reporter import Reporter
from mtpano_ros.running import run
from mtpano_ros.telling import Teller
from mtpano_ros.topics import COMPRESSED_IMAGE, IMAGE, overridable, subscription_events
from mtpano_ros.transport_advice import transport_advice

# How long an image in the network is waited for; a signal's five seconds (launch) must do, too.
_PATIENCE = 10.0
_PATIENCE_AT_THE_END = 3.5
# Of freed memory that the process keeps: an image passes through three blocks of its size.
_RESERVE_BYTES = 64 * 2**20

_STUCK = (
    "an image is still in the network, its engine hangs: cleanup and configure load another, or "
    "start the process anew"
)

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class PanoNode(LifecycleNodeMixin, Node):
    """configure loads the model, activate listens, deactivate stops, cleanup frees.

    broken: the network has failed so often that only a new process can help.
    """

    def __init__(self, name: str = "pano_node", **options: Any) -> None:
        Node.__init__(self, name, **options)
        # Transitions may take minutes (an engine build); a group of their own that admits several
        # callbacks at once keeps get_state answering.
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        self._settings, self._problems = parameter_table.declare(self)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._in_transition = threading.Lock()
        self._ending = threading.Event()
        self.broken = False
        self._tell = Teller(self.get_logger())
        self._statistics = Statistics()
        self._reporter = Reporter(self, self._statistics)
        self._logs = LogForwarder(self.get_logger(), self._reporter.progress)
        self._qos_watch = QosWatch(self)
        self._estimator: Estimator | None = None
        self._outputs: Outputs | None = None
        self._path: FramePath | None = None
        self._subscription: Subscription | None = None
        self._image_watch: ImageWatch | None = None
        self._last_stamp = 0
        self._images = NoExecutor()
        self._camera: CameraThread | None = None
        # Under use_sim_time the node's own clock may stand still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._tick, MutuallyExclusiveCallbackGroup(), clock=steady)
        if self._settings.autostart:
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
                problem = _one_line(error)
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
            if self._path is not None and not self._path.stop(timeout=0.0):
                return self._activate_failed(_STUCK)
            try:
                self._activate()
            except Exception as error:  # of the middleware, or of a qos_override
                self._deactivate(_PATIENCE)
                return self._activate_failed(_one_line(error))
            self._reporter.state("active")
            return SUCCESS

    def _activate_failed(self, problem: str) -> TransitionCallbackReturn:
        self.get_logger().error(f"activate failed: {problem}")
        self._reporter.state("inactive", problem)
        return FAILURE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, and let the images under way come out."""
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
        if not self._in_transition.acquire(timeout=timeout):
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
        problems = [*self._problems.values(), self._reporter.misfit]
        if any(problems):
            raise MtpanoError("; ".join(filter(None, problems)))
        wanted = self._settings
        self._estimator = load_estimator(
            wanted.model,
            wanted.backend,
            wanted.device,
            wanted.threads or None,
            None if wanted.precision == "auto" else wanted.precision,
            compiled=None,
            progress=self._reporter.building,
            cancel=self._ending,
        )
        info = self._estimator.info
        self._outputs = Outputs(self, info)
        self._reporter.model = info
        self.get_logger().info(
            f"{info.path.name} ({info.preset}, {info.input_size[1]}x{info.input_size[0]}) on "
            f"{info.backend}, {info.device}, {info.precision}"
        )
        self._advise()

    def _activate(self) -> None:
        assert self._estimator is not None
        assert self._outputs is not None
        self._last_stamp = 0
        self._outputs.send_label_info(Header(frame_id=self._settings.frame_id))
        self._path = FramePath(
            self._estimator, self._outputs, self._statistics, lambda: self._settings, self._tell
        )
        self._subscription = self._subscribe()
        self._image_watch = ImageWatch(self, self._subscription)
        self._camera = CameraThread(self, self._subscription, self._on_image, self._on_broken_image)
        self.get_logger().info(f"listening to {self._subscription.topic_name}")

    def _deactivate(self, timeout: float) -> bool:
        """False if an image under way does not end within `timeout` seconds."""
        if self._camera is not None:
            self._camera.stop()
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
        self._camera = self._subscription = self._image_watch = None
        if self._path is not None and not self._path.stop(timeout):
            return False
        self._path = None
        return True

    def _free(self, timeout: float) -> bool:
        ended = self._deactivate(timeout)
        if not ended and not self._ending.is_set():
            self._tell.error("stop", "an image under way does not end, its engine is left behind")
        if self._outputs is not None:
            self._outputs.close()
        if self._estimator is not None and ended:
            self._estimator.close()
        self._path = self._outputs = self._estimator = self._reporter.model = None
        return ended

    # --- images ---------------------------------------------------------------------------------

    def _subscribe(self) -> Subscription:
        topic, name = IMAGE, IMAGE.name
        if self._settings.image_transport == "compressed":
            # As image_transport has it: a remapping of `image` carries its compressed twin along.
            topic, name = COMPRESSED_IMAGE, f"{self.resolve_topic_name(IMAGE.name)}/compressed"
        return self.create_subscription(
            topic.type,
            name,
            self._on_image,
            topic.qos,
            callback_group=self._images,
            event_callbacks=subscription_events(),
            qos_overriding_options=overridable(),
        )

    def _on_image(self, message: Any) -> None:
        self._statistics.count("received")
        try:
            self._take(message)
        except Exception as error:  # one image must not leave the node deaf
            self._skipped_internal(f"taking it raised {_one_line(error)}")

    def _take(self, message: Any) -> None:
        path, outputs, watch = self._path, self._outputs, self._image_watch
        assert path is not None
        assert outputs is not None
        assert watch is not None
        watch.seen()
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        earlier, self._last_stamp = self._last_stamp, stamp
        if stamp < earlier:
            self._statistics.count("skipped_stamp")
            self._tell.warn(
                "stamp",
                f"skipped an image: its stamp {stamp / 1e9:.3f} s is before the last one's, "
                f"{earlier / 1e9:.3f} s, expected stamps that grow; the next is taken again",
            )
        elif not outputs.wanted():
            self._statistics.count("idle")
        else:
            now = self.get_clock().now().nanoseconds
            path.offer(message, (now - stamp) / 1e6 if stamp else 0.0)

    def _on_broken_image(self, error: Exception) -> None:
        self._statistics.count("received")
        self._skipped_internal(f"it cannot be read: {_one_line(error)}")

    def _skipped_internal(self, reason: str) -> None:
        self._statistics.count("skipped_internal")
        self._tell.error("internal", f"skipped an image: {reason}")

    # --- parameters and the state of things -----------------------------------------------------

    def _on_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        values = parameter_table.values_by_name(changed)
        try:
            self._settings = self._settings.changed(values)
        except MtpanoError as error:
            return SetParametersResult(successful=False, reason=str(error))
        for name in values:
            self._problems.pop(name, None)
        if values.keys() & {"output_size", "cloud_stride"}:
            self._advise()
        return SetParametersResult(successful=True)

    def _advise(self) -> None:
        estimator = self._estimator  # a transition in another thread may take it away
        if estimator is not None:
            advice = transport_advice(self._settings, estimator.info.input_size)
            if advice:
                self.get_logger().warning(advice)

    def _tick(self) -> None:
        """Once a second: look at the graph, publish diagnostics."""
        silence, trouble = 0.0, ""
        # Publishers must not vanish under the look at them; a transition reports by itself.
        if self._in_transition.acquire(blocking=False):
            try:
                if self._image_watch is not None:
                    self._image_watch.check(self._settings.image_timeout)
                    silence = self._image_watch.silence
                if self._outputs is not None:
                    self._qos_watch.check(self._outputs.publishers, self._subscription)
                if self._path is not None:
                    self.broken = is_broken(self._path)
                    usual = self._statistics.median("inference")
                    trouble = network_trouble(self._path, usual, self._settings.image_timeout)
            finally:
                self._in_transition.release()
        if trouble:
            self._tell.error("network", trouble)
        self._reporter.publish(silence if silence > self._settings.image_timeout else 0.0, trouble)


def _one_line(error: Exception) -> str:
    if isinstance(error, MtpanoError):
        return str(error)
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


def main(args: list[str] | None = None) -> int:
    """Entry point of `pano_node`; returns the exit status."""
    # OpenCV's pool spins between calls: more processor time than the short calls here can save.
    cv2.setNumThreads(1)
    keep_freed_memory(_RESERVE_BYTES)
    return run(PanoNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
