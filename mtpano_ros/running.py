"""A node's process: spins until a signal, then ends in order and with status 0."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import rclpy
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.signals import SignalHandlerOptions

if TYPE_CHECKING:
    from mtpano_ros.node import PanoNode

# A transition, an image, the timer, and one to answer services meanwhile.
THREADS = 4
# How late a signal may be noticed: rcl's wait does not return for one.
POLL_SECONDS = 0.1


def run(make_node: Callable[[], PanoNode], args: list[str] | None = None) -> int:
    """Run the node that `make_node` makes; returns the exit status.

    rclpy's own signal handlers invalidate the context at once, so that a publish under way fails
    with a traceback. Ours only ask for the end; the context is the last thing to go.
    """
    asked: list[int] = []

    def ask(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    node = None
    try:
        node = make_node()
        executor = MultiThreadedExecutor(THREADS)
        executor.add_node(node)
        while rclpy.ok() and not asked:
            try:
                executor.spin_once(timeout_sec=POLL_SECONDS)
            except RuntimeError as error:
                # Before Jazzy rclpy lets a transition that is not allowed now end the process.
                node.get_logger().error(f"a callback failed: {error}")
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        if node is not None:
            if not node.close():
                # A thread inside an engine's C++ can neither be stopped nor left behind.
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(0)
            executor.shutdown()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
