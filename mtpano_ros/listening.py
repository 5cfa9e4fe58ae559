"""The parts of an active node: camera intake, frame path, mounting and bond."""

from __future__ import annotations

from rclpy.node import Node
from std_msgs.msg import Header

from mtpano_model.inference import Estimator
from mtpano_ros.camera.source import Source
from mtpano_ros.frames.frame_path import FramePath
from mtpano_ros.frames.intake import Intake
from mtpano_ros.frames.network_health import is_broken, network_trouble
from mtpano_ros.mounting.mounting import Mounting
from mtpano_ros.mounting.state import GeometryState
from mtpano_ros.outputs.publishers import Publishers
from mtpano_ros.parameters.settings import Settings
from mtpano_ros.process.bond import Bond
from mtpano_ros.watch.diagnostics import Statistics
from mtpano_ros.watch.health import Health
from mtpano_ros.watch.qos_watch import QosWatch
from mtpano_ros.watch.telling import Teller


class Listening:
    """From activate to deactivate; what is not there (yet, or any more) is None."""

    def __init__(self, statistics: Statistics) -> None:
        self._statistics = statistics
        self.mounting: Mounting | None = None
        self.path: FramePath | None = None
        self.intake: Intake | None = None
        self.bond: Bond | None = None

    def open(
        self,
        node: Node,
        estimator: Estimator,
        publishers: Publishers,
        source: Source,
        settings: Settings,
        tell: Teller,
    ) -> None:
        """Start everything; raises what the middleware refuses, and is to be closed then too."""
        parameters, statistics = settings.current, self._statistics
        publishers.announce(Header(frame_id=parameters.outputs.frame_id))
        statistics.geometry = GeometryState()
        classes = estimator.info.classes
        self.mounting = Mounting(node, parameters, classes, statistics.geometry)
        self.path = FramePath(estimator, publishers, self.mounting, statistics, tell)
        size, look_up = estimator.info.input_size, self.mounting.transforms.look_up
        self.intake = Intake(
            node, source, size, look_up, publishers, self.path, statistics, settings, tell
        )
        settings.look_for_unread_qos()
        self.bond = Bond(node)

    def look(self, timeout: float, qos_watch: QosWatch) -> Health:
        """Warn of a camera that is silent for more than `timeout` seconds or does not fit."""
        silence, resting, trouble, broken = 0.0, True, "", False
        if self.intake is not None:
            silence = self.intake.look(timeout, qos_watch)
            resting = self.intake.is_resting
        if self.path is not None:
            broken = is_broken(self.path)
            trouble = network_trouble(self.path, self._statistics.median("inference"), timeout)
        return Health(silence, resting, trouble, broken)

    def close(self, timeout: float) -> bool:
        """Unsubscribe; False if an image under way does not end within `timeout` seconds.

        May be called again, to see whether it has ended meanwhile.
        """
        if self.bond is not None:
            self.bond.close()
        self.bond = None
        if self.intake is not None:
            self.intake.close()
        self.intake = None
        if self.path is not None and not self.path.stop(timeout):
            return False
        self.path = None
        self.leave()
        return True

    def leave(self) -> None:
        """Listen to nothing about the mounting any more, also while an image hangs."""
        if self.mounting is not None:
            self.mounting.close()
        self.mounting = None
