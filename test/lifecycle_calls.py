"""Calls of the lifecycle's services."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from node_harness import wait_until


def state_of(bot):
    return bot.node._state_machine.current_state[1]


def call(bot, kind, name, request=None, timeout=5.0):
    """The answer of one of the node's services."""
    client = bot.world.create_client(kind, f"{bot.node.get_fully_qualified_name()}/{name}")
    assert client.wait_for_service(timeout)
    future = client.call_async(request or kind.Request())
    wait_until(future.done, timeout, f"an answer of {name}")
    bot.world.destroy_client(client)
    return future.result()


def change(bot, transition, timeout=10.0):
    request = ChangeState.Request(transition=Transition(id=transition))
    return call(bot, ChangeState, "change_state", request, timeout).success
