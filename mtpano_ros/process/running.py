"""A node's process: spins until a signal or a broken node, then ends in order."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

import rclpy
from rclpy.executors import Executor, ExternalShutdownException, MultiThreadedExecutor

from mtpano_model.errors import MtpanoError, one_line
from mtpano_ros.process.initialise import (
    CANNOT_START,
    INVALID_NAME,
    initialise,
    made,
    split_ros_args,
)
from mtpano_ros.process.signals import on_end
from mtpano_ros.watch.telling import Teller

NAME = "pano_node"
USAGE = """usage: pano_node [--ros-args -r NAME:=TOPIC -p PARAMETER:=VALUE --params-file FILE]

A 360 degree camera in; depth, normals, semantics and a cloud out. Its parameters: config/pano.yaml;
its topics and diagnostics: docs/node.md."""
# A transition, the timer, and one to answer services meanwhile.
THREADS = 3


class EndingNode(Protocol):
    """A node that can be ended in order. broken: only a new process can help."""

    broken: bool

    def close(self) -> bool: ...

    def destroy_node(self) -> None: ...

    def get_logger(self) -> Any: ...


def run(make_node: Callable[[], EndingNode], args: list[str] | None = None) -> int:
    """Run the node that `make_node` makes; returns the exit status.

    0 after a signal, 1 if the node says it is broken or cannot be made, CANNOT_START where a
    restart would change nothing. args: the command line without the program's name.

    rclpy's own signal handlers invalidate the context at once, so that a publish under way fails
    with a traceback. Ours only ask for the end; the context is the last thing to go.
    """
    asked: list[int] = []
    on_end(lambda number, _frame: asked.append(number))
    own, ros = split_ros_args(sys.argv[1:] if args is None else args)
    if {"-h", "--help"} & set(own):
        print(USAGE)
        return 0
    try:
        if own:
            raise MtpanoError(f"argument '{own[0]}' is not known: put --ros-args before it")
        notices = initialise(NAME, ros)
    except MtpanoError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return CANNOT_START
    try:
        node = made(make_node)
    except MtpanoError as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        rclpy.try_shutdown()
        return CANNOT_START if INVALID_NAME in str(error) else 1
    try:
        for notice in notices:
            node.get_logger().warning(notice)
        executor = MultiThreadedExecutor(THREADS)
        executor.add_node(node)  # type: ignore[arg-type]
        _wake_on_signal(executor)
        _spin(executor, node, asked)
    finally:
        ended = node.close()
        if ended:
            executor.shutdown()
        # Otherwise its DDS memory in /dev/shm would stay.
        node.destroy_node()
        rclpy.try_shutdown()
        if not ended:
            # A thread inside an engine's C++ can neither be stopped nor left behind.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(int(node.broken))
    return int(node.broken)


def _spin(executor: Executor, node: EndingNode, asked: list[int]) -> None:
    tell = Teller(node.get_logger())
    while rclpy.ok() and not asked and not node.broken:
        try:
            executor.spin_once()
        except ExternalShutdownException:
            return
        except Exception as error:
            # Of a service or a timer; before Jazzy also a transition that is not allowed now. The
            # node's other callbacks go on.
            tell.error(one_line(error), f"a callback failed: {one_line(error)}")


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
