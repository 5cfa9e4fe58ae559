"""What every executable here shares: arguments, a clean end, one line instead of a traceback."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from mtpano_model.errors import MtpanoError


class Spinner:
    """A node, its executor, and whether somebody asked the process to end."""

    def __init__(self, node: Node, stop: threading.Event) -> None:
        self.node = node
        self.stop = stop
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)

    def spin_for(self, seconds: float) -> None:
        """Serve callbacks for at most `seconds`; returns early after one callback or on stop."""
        # rcl's wait is deaf to signals, so no single wait is longer than a tenth of a second.
        self._executor.spin_once(timeout_sec=max(0.0, min(seconds, 0.1)))

    def shutdown(self) -> None:
        """Stop serving callbacks."""
        self._executor.shutdown()


@contextmanager
def spinning_node(name: str, ros_args: Sequence[str]) -> Iterator[Spinner]:
    """A node named `name` between rclpy.init and a clean shutdown.

    SIGINT and SIGTERM only set `spinner.stop`. rclpy's own handlers would invalidate the context at
    once, and the publish or wait under way would then raise in the middle of its work.
    """
    stop = threading.Event()

    def request_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    previous = {
        number: signal.signal(number, request_stop) for number in (signal.SIGINT, signal.SIGTERM)
    }
    rclpy.init(args=list(ros_args), signal_handler_options=SignalHandlerOptions.NO)
    spinner = None
    try:
        spinner = Spinner(Node(name), stop)
        yield spinner
    finally:
        if spinner is not None:
            spinner.shutdown()
            spinner.node.destroy_node()
        rclpy.try_shutdown()
        for number, handler in previous.items():
            signal.signal(number, handler)


def split_ros_args(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """(own arguments, ROS arguments) of a command line without its program name.

    ROS arguments stand between `--ros-args` and a `--` or the end.
    """
    own: list[str] = []
    ros: list[str] = []
    inside = False
    for argument in argv:
        if argument == "--ros-args":
            inside = True
        (ros if inside else own).append(argument)
        if argument == "--" and inside:
            inside = False
    return own, ros


def run_command(body: Callable[[], int | None]) -> int:
    """Exit status of `body`: its own or 0; an MtpanoError becomes one line on stderr and 1."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    try:
        return body() or 0
    except MtpanoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
