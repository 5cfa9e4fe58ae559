"""The parameters of a running node: declared, translated from old names, checked, replaced."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from mtpano_model.errors import MtpanoError, nearest, one_line
from mtpano_ros.parameters.files import odd_files
from mtpano_ros.parameters.options import value_of, with_values
from mtpano_ros.parameters.ros_options import QOS, ros_option
from mtpano_ros.parameters.table import OLD_NAMES, OPTIONS, Parameters

# The names in parameters.OLD_NAMES go in this version.
OLD_NAMES_END = "0.2"
_QOS_NAME = (
    f"{QOS}TOPIC.publisher.POLICY or {QOS}TOPIC.subscription.POLICY with the full name of a topic "
    "of this node; policies: history, depth, reliability"
)
# Of difflib's measure: `max_rage` for max_range has 0.94, `base_frame_id` for frame_id 0.76.
_NEAR = 0.8
# What all of them begin and end with makes any two of them alike.
_NEAR_QOS = 0.9


class Settings:
    """The one place where a node's parameters change.

    current: the values of the moment. It is replaced as a whole, so that whoever keeps it has one
        consistent set.
    problems: option -> why what was given for it at the start is refused. Its default stands in for
        it, and configure answers FAILURE with the reason, where rclpy would let the process die.
        Setting the option ends the problem.
    """

    def __init__(self, node: Node, changed: Callable[[], None]) -> None:
        """changed: called after every change."""
        self._node, self._changed = node, changed
        self._told: set[str] = set()
        self.current = Parameters()
        self.problems: dict[str, str] = {}
        # rclpy has no public way to see an override that nobody declares.
        self._given = {one.name: one.value for one in node._parameter_overrides.values()}
        self._declare()
        node.add_on_set_parameters_callback(self._take)

    def understood(self, parameters: Sequence[Parameter]) -> list[Parameter]:
        """Parameters that a user wants to set, with today's names and in our types.

        MtpanoError in plain words where rclpy would speak of type numbers.
        """
        result = []
        for one in parameters:
            name = self._today(one.name)
            if not self._node.has_parameter(name):
                raise MtpanoError(_unknown(name, _nearest(name)))
            option = OPTIONS.get(name) or ros_option(name, self._node.get_parameter(name).value)
            value = option.converted(one.value)
            if not option.read_only:  # what is fixed is refused by rclpy, whatever its value
                option.check(value)
            result.append(Parameter(name, value=value))
        return result

    def look_for_unread(self) -> None:
        """Once all is declared but the subscription: what was given and nobody reads.

        A near miss of an option becomes a problem; anything else is a warning, since a file with
        the key `/**` may hold the parameters of other nodes too.
        """
        for given in self._unread():
            near = _nearest(given)
            if near:
                self.problems[OLD_NAMES.get(near, near)] = _unknown(given, near)
            elif not given.startswith(QOS):
                self._tell(given, f"{_unknown(given)}, so it is not used")
        for line in odd_files(sys.argv, self._node.get_fully_qualified_name()):
            self._tell(line, line)

    def look_for_unread_qos(self) -> None:
        """The same for the QoS of topics, once the camera's subscription has been made."""
        declared = [name for name in self._node._parameters if name.startswith(QOS)]
        for given in self._unread():
            if given.startswith(QOS):
                near = nearest(given, declared, _NEAR_QOS)
                meant = f": did you mean {near}?" if near else f", expected {_QOS_NAME}"
                self._tell(given, f"parameter '{given}' is not used{meant}")

    def _declare(self) -> None:
        given = {name: OPTIONS[name].converted(v) for name, v in self._given_by_name().items()}
        # Together first: a minimum may be above the other limit's default.
        with contextlib.suppress(Exception):
            self.current = with_values(self.current, given)
        for name, option in OPTIONS.items():
            if name in given:
                try:
                    self.current = with_values(self.current, {name: given[name]})
                except Exception as error:  # whatever a value brings about: configure says it
                    self.problems[name] = one_line(error)
            self._node.declare_parameter(
                name, value_of(self.current, name), option.descriptor, ignore_override=True
            )

    def _given_by_name(self) -> dict[str, Any]:
        named = {name: value for name, value in self._given.items() if name in OPTIONS}
        for old in self._given.keys() & OLD_NAMES.keys():
            named.setdefault(self._today(old), self._given[old])
        return named

    def _unread(self) -> list[str]:
        known = OPTIONS.keys() | OLD_NAMES.keys()
        return sorted(
            name for name in self._given if name not in known and not self._node.has_parameter(name)
        )

    def _today(self, name: str) -> str:
        """The name of today for an old one, which is said once."""
        if name not in OLD_NAMES:
            return name
        today = OLD_NAMES[name]
        self._tell(
            name,
            f"parameter '{name}' is now called '{today}'; the old name is accepted until version "
            f"{OLD_NAMES_END}",
        )
        return today

    def _tell(self, name: str, line: str) -> None:
        if name not in self._told:
            self._told.add(name)
            self._node.get_logger().warning(line)

    def _take(self, changed: list[Parameter]) -> SetParametersResult:
        values = {one.name: one.value for one in changed if one.name in OPTIONS}
        try:
            self.current = with_values(self.current, values)
        except Exception as error:  # whatever a value brings about: the answer is a refusal
            return SetParametersResult(successful=False, reason=one_line(error))
        for one in changed:
            self.problems.pop(one.name, None)
        self._changed()
        return SetParametersResult(successful=True)


def _nearest(name: str) -> str:
    """The option, by today's or its old name, that `name` resembles; empty if none."""
    return nearest(name, [*OPTIONS, *OLD_NAMES], _NEAR)


def _unknown(name: str, near: str = "") -> str:
    line = f"parameter '{name[:100]}' is not one of this node's"
    if not near:
        group = f"{name.partition('.')[0]}."
        members = [option for option in OPTIONS if option.startswith(group)]
        return f"{line} ({', '.join(members)} are)" if members else line
    today = OLD_NAMES.get(near, near)
    return f"{line}: did you mean {today if today == near else f'{today} (formerly {near})'}?"
