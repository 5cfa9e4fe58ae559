"""How a table of parameters is written: options, groups of options, and the checks that follow.

An option is a field of a frozen dataclass; a group is a dataclass that is the default of a field.
The ROS name of an option in a group is `group.option`. table.py holds the table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from mtpano_model.errors import MtpanoError

G = TypeVar("G", bound="Group")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?", re.IGNORECASE)


def option(
    default: Any,
    description: str,
    choices: tuple[str, ...] = (),
    between: tuple[float, float] | None = None,
    read_only: bool = False,
    old: str = "",
    numbers: bool = False,
) -> Any:
    """A parameter. read_only: fixed when the process starts; every other one is dynamic.

    old: its name in the last minor version. numbers: a text that may be a number, so that a YAML
    file may give it without quotes.
    """
    facts = {
        "description": description,
        "choices": choices,
        "between": between,
        "read_only": read_only,
        "old": old,
        "numbers": numbers,
    }
    return field(default=default, metadata=facts)


@dataclass(frozen=True)
class Group:
    """Options that belong together; MtpanoError where a value is refused."""

    def changed(self: G, values: Mapping[str, Any]) -> G:
        """With other values for some options or groups, named as fields; checked as a whole."""
        return replace(self, **values)


@dataclass(frozen=True)
class Option:
    """One row of a table. name: the ROS name, with the dots of its groups."""

    name: str
    default: Any
    description: str
    choices: tuple[str, ...]
    between: tuple[float, float] | None
    read_only: bool
    old: str
    numbers: bool

    @property
    def kind(self) -> type:
        """The type of its values: bool, int, float or str."""
        return type(self.default)

    def converted(self, value: Any) -> Any:
        """`value` in the option's type where no meaning is lost by that: 10 is 10.0, 2.0 is 2.

        rqt and Foxglove send whole numbers as integers, others send every number as a float. YAML
        reads an unquoted off as false.
        """
        if value is False and "off" in self.choices:
            return "off"
        if self.numbers and type(value) in (int, float):
            return f"{value:g}"
        if self.kind is float and type(value) is int:
            return float(value)
        if self.kind is int and type(value) is float and value.is_integer():
            return int(value)
        return value

    def check(self, value: Any) -> None:
        """MtpanoError with the reason unless the value is of the right type and within limits."""
        given = f"parameter {self.name} is {value!r:.200}"
        if not self._fits(value):
            raise MtpanoError(f"{given}, expected {self._expected(value)}")
        if self.choices and value not in self.choices:
            raise MtpanoError(f"{given}, expected {' or '.join(self.choices)}")
        if self.between:
            low, high = self.between
            if not (math.isfinite(value) and low <= value <= high):
                raise MtpanoError(f"{given}, expected {low:g} to {high:g}")

    def _fits(self, value: Any) -> bool:
        # Not isinstance: True would be an int.
        return type(value) is self.kind

    def _expected(self, value: Any) -> str:
        if self.kind is bool:
            return "true or false"
        if self.kind is str and isinstance(value, Sequence):
            return "one text in quotes, and no list of YAML"
        number = self.kind is not str and isinstance(value, str) and _NUMBER.fullmatch(value)
        quoted = ", without quotes" if number else ""
        return f"a value of type {self.kind.__name__} such as {self.default!r}{quoted}"

    @property
    def descriptor(self) -> ParameterDescriptor:
        """What `ros2 param describe` shows."""
        result = ParameterDescriptor(
            name=self.name,
            description=self.description,
            additional_constraints=" or ".join(self.choices),
            read_only=self.read_only,
        )
        if self.between and self.kind is int:
            least, most = map(int, self.between)
            result.integer_range = [IntegerRange(from_value=least, to_value=most, step=0)]
        elif self.between:
            low, high = map(float, self.between)
            span = FloatingPointRange(from_value=low, to_value=high, step=0.0)
            result.floating_point_range = [span]
        return result


def options_of(table: Group, prefix: str = "") -> Iterator[Option]:
    """Every option of a table with its defaults, group by group in the order of its fields."""
    for one in fields(table):
        value = getattr(table, one.name)
        if isinstance(value, Group):
            yield from options_of(value, f"{prefix}{one.name}.")
        elif "description" in one.metadata:
            yield Option(name=prefix + one.name, default=one.default, **one.metadata)


def value_of(table: Group, name: str) -> Any:
    """The value of the option with this ROS name."""
    for part in name.split("."):
        table = getattr(table, part)
    return table


def with_values(table: G, values: Mapping[str, Any]) -> G:
    """The table with other values by ROS name; MtpanoError where one is refused."""
    options = {one.name: one for one in options_of(table)}
    for name, value in values.items():
        options[name].check(value)
    return _replaced(table, values)


def _replaced(table: G, values: Mapping[str, Any]) -> G:
    own: dict[str, Any] = {}
    grouped: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        first, dot, rest = name.partition(".")
        if dot:
            grouped.setdefault(first, {})[rest] = value
        else:
            own[name] = value
    groups = {name: _replaced(getattr(table, name), inner) for name, inner in grouped.items()}
    return table.changed({**own, **groups})
