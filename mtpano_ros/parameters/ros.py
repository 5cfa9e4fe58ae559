"""A node that accepts parameters as users write them, where rclpy would refuse them or end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from mtpano_model.errors import MtpanoError, one_line
from mtpano_ros.parameters.ros_options import QOS, ros_option
from mtpano_ros.parameters.settings import Settings


class ParameterNode(Node):
    """Call `declare_settings` once, after the constructor."""

    def __init__(self, name: str, **options: Any) -> None:
        self._refused: dict[str, str] = {}
        super().__init__(name, **options)

    def declare_settings(self, changed: Callable[[], None]) -> None:
        """Declare the table's parameters; `changed` is called after every change of them."""
        self._settings = Settings(self, changed)
        self._settings.problems.update(self._refused)

    def declare_parameter(
        self,
        name: str,
        value: Any = None,
        descriptor: ParameterDescriptor | None = None,
        ignore_override: bool = False,
    ) -> Parameter:
        """As Node's. What it declares itself must not end it; a QoS that is refused raises."""
        given = self._parameter_overrides.get(name)
        if given is not None and not ignore_override:
            try:
                ros_option(name, value).check(given.value)
            except MtpanoError as error:
                if name.startswith(QOS):
                    raise
                self._refused[name] = one_line(error)
                ignore_override = True
        return super().declare_parameter(name, value, descriptor, ignore_override)

    def set_parameters(self, parameter_list: list[Parameter]) -> list[SetParametersResult]:
        """As Node's, with what set_parameters_atomically adds to it."""
        return [self.set_parameters_atomically([one]) for one in parameter_list]

    def set_parameters_atomically(self, parameter_list: list[Parameter]) -> SetParametersResult:
        """As Node's, which services call too; takes old names, and whole numbers for floats."""
        try:
            parameter_list = self._settings.understood(parameter_list)
        except MtpanoError as error:
            return SetParametersResult(successful=False, reason=one_line(error))
        return super().set_parameters_atomically(parameter_list)
