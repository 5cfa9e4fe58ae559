"""A node made with given parameters."""

from __future__ import annotations

import contextlib

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

import rclpy
from node_harness import parameters
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.context import Context

from mtpano_ros.node import PanoNode


@contextlib.contextmanager
def node(**values):
    context = Context()
    rclpy.init(context=context)
    one = PanoNode(context=context, parameter_overrides=parameters(autostart=False, **values))
    try:
        yield one
    finally:
        one.close()
        one.destroy_node()
        rclpy.shutdown(context=context)


def served(one, how, given):
    """As the service answers."""
    service, message = one._parameter_service, given.to_parameter_msg()
    if how == "service":
        request = SetParameters.Request(parameters=[message])
        return service._set_parameters_callback(request, SetParameters.Response()).results
    request = SetParametersAtomically.Request(parameters=[message])
    answer = SetParametersAtomically.Response()
    return [service._set_parameters_atomically_callback(request, answer).result]
