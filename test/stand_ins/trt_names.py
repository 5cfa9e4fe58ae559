"""Names of one TensorRT version: lets through what it has, records what was used.

A name that the chosen version lacks raises AttributeError, as the library does; one that it has but
that nobody taught the stand-in raises AssertionError.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from stand_ins.machine import Machine


def names(version: str) -> dict[str, set[str]]:
    """Class -> its names in "10.3", "10.13" or "11.4"."""
    found: dict[str, set[str]] = {}
    with (Path(__file__).parent / "tensorrt_names.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row[version] == "yes":
                found.setdefault(row["class"], set()).add(row["name"])
    return found


class Member(int):
    """One value of an enumeration."""

    label: str


class Enumeration:
    def __init__(self, kind: str, known: set[str], machine: Machine) -> None:
        self._kind, self._machine = kind, machine
        self._members = {}
        for value, name in enumerate(sorted(known)):
            member = Member(value)
            member.label = name
            self._members[name] = member

    def __getattr__(self, name: str) -> Member:
        if name not in self._members:
            raise AttributeError(f"{self._kind} has no {name} in {self._machine.tensorrt}")
        self._machine.used.add(f"{self._kind}.{name}")
        return self._members[name]


def _is_ours(kind: type) -> bool:
    """A subclass written by the code under test: it may have names of its own."""
    return kind.__name__ != kind.kind  # type: ignore[attr-defined]


class Checked:
    """Lets through only the names of the version, and records them."""

    known: set[str]
    machine: Machine
    module: Any
    kind: str

    def __getattribute__(self, name: str) -> Any:
        cls = object.__getattribute__(self, "__class__")
        if not name.startswith("_") and name not in ("known", "machine", "module", "kind"):
            if name in cls.known:
                cls.machine.used.add(f"{cls.kind}.{name}")
            elif not _is_ours(cls):
                raise AttributeError(f"{cls.kind} has no {name} in {cls.machine.tensorrt}")
        return object.__getattribute__(self, name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or _is_ours(type(self)) or name not in self.known:
            raise AttributeError(f"{self.kind} has no {name} in {self.machine.tensorrt}")
        raise AssertionError(f"{self.kind}.{name} exists, but the stand-in cannot do it")

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and not _is_ours(type(self)):
            if name not in self.known:
                raise AttributeError(f"{self.kind} has no {name} in {self.machine.tensorrt}")
            self.machine.used.add(f"{self.kind}.{name}")
        object.__setattr__(self, name, value)


class ILogger(Checked):
    def __init__(self) -> None:
        self._made = True


class IProfiler(Checked):
    def __init__(self) -> None:
        self._made = True


class IProgressMonitor(Checked):
    def __init__(self) -> None:
        self._made = True


def require_logger(logger: Any) -> None:
    if not getattr(logger, "_made", False):
        raise TypeError("ILogger.__init__() must be called when overriding __init__")
