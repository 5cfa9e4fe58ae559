"""What all executables here share: arguments, an orderly end, one line and no traceback."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from mtpano_model.command_line import parsed
from mtpano_model.errors import MtpanoError
from mtpano_model.last_resort import exit_status
from mtpano_ros.parameters.ros_options import QOS
from mtpano_ros.process.initialise import initialise, made, split_ros_args
from mtpano_ros.process.signals import on_end, restore


class Spinner:
    """A node, its executor, and whether somebody asked the process to end.

    stop: set by a signal. signals: their numbers, as they came.
    """

    def __init__(self, node: Node, stop: threading.Event, signals: Sequence[int]) -> None:
        self.node, self.stop, self.signals = node, stop, signals
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

    A signal to end only sets `spinner.stop`. rclpy's own handlers would invalidate the context at
    once, and the publish or wait under way would then raise in the middle of its work.
    """
    stop = threading.Event()
    signals: list[int] = []

    def request_stop(number: int, _frame: FrameType | None) -> None:
        signals.append(number)
        stop.set()

    previous = on_end(request_stop)
    spinner = None
    try:
        notices = initialise(name, ros_args)
        node = made(lambda: Node(name))
        spinner = Spinner(node, stop, signals)
        unread = [one for one in node._parameter_overrides if not node.has_parameter(one)]
        notices += [
            f"parameter '{one}' is not used: {name} takes arguments instead, see --help"
            for one in unread
            if not one.startswith(QOS)  # those come with the topics
        ]
        for notice in notices:
            node.get_logger().warning(notice)
        yield spinner
    finally:
        if spinner is not None:
            spinner.shutdown()
            spinner.node.destroy_node()
        rclpy.try_shutdown()
        restore(previous)


def check_seconds(**values: float) -> None:
    """MtpanoError unless each of these arguments is a time to wait."""
    for name, value in values.items():
        if not value >= 0:  # NaN would wait for ever
            raise MtpanoError(f"--{name} {value}: expected seconds, 0 or more")


def check_rate(rate: float, what: str) -> None:
    """MtpanoError unless `--rate` is a number of `what` (images, moments) per second."""
    if not 0 < rate <= 1000:
        raise MtpanoError(f"--rate {rate}: expected {what} per second above 0, up to 1000")


def run_tool(
    kind: Any, name: str, body: Callable[[Any, list[str]], int | None], argv: list[str] | None
) -> int:
    """Exit status of `body(args, ros_args)`, of a command line into the dataclass `kind`.

    argv: without the program's name; None for the process's own.
    """
    own, ros = split_ros_args(sys.argv[1:] if argv is None else argv)
    return run_command(lambda: body(parsed(kind, name, own), ros))


def run_command(body: Callable[[], int | None]) -> int:
    """Exit status of `body`: its own, or 0; 1 after an exception, told on stderr in one line."""
    logging.basicConfig(format="%(levelname)s: %(message)s", level=logging.INFO)
    return exit_status(body)
