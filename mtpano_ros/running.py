"""A node's process: spins until a signal or a broken node, then ends in order."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import rclpy
from rclpy.executors import Executor, ExternalShutdownException, MultiThreadedExecutor
from rclpy.signals import SignalHandlerOptions

if TYPE_CHECKING:
    from mtpano_ros.node import PanoNode

# A transition, the timer, and one to answer services meanwhile.
THREADS = 3


def run(make_node: Callable[[], PanoNode], args: list[str] | None = None) -> int:
    """Run the node that `make_node` makes; returns the exit status, 1 if it says it is broken.

    rclpy's own signal handlers invalidate the context at once, so that a publish under way fails
    with a traceback. Ours only ask for the end; the context is the last thing to go.
    """
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: asked.append(number))
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    node = None
    try:
        node = make_node()
        executor = MultiThreadedExecutor(THREADS)
        executor.add_node(node)
        _wake_on_signal(executor)
        while rclpy.ok() and not asked and not node.broken:
            try:
                executor.spin_once()
            except RuntimeError as error:
                # Before Jazzy rclpy lets a transition that is not allowed now end the process.
                node.get_logger().error(f"a callback failed: {error}")
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        if node is not None:
            ended = node.close()
            if ended:
                executor.shutdown()
            # Otherwise its DDS memory in /dev/shm would stay.
            node.destroy_node()
            if not ended:
                # A thread inside an engine's C++ can neither be stopped nor left behind.
                rclpy.try_shutdown()
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(int(node.broken))
        rclpy.try_shutdown()
    return int(node is not None and node.broken)


def _wake_on_signal(executor: Executor) -> None:
    """rcl's wait is deaf to signals, and Python runs handlers only when it returns."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno())

    def wake() -> None:
        with writer:  # open as long as it is listened to
            while reader.recv(1):
                executor.wake()

    threading.Thread(target=wake, name="mtpano-signals", daemon=True).start()
