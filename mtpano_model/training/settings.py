"""Plain values (YAML, `--set key=value`) into the frozen dataclasses of a configuration, strictly.

Unknown keys and values of another type are refused with the nearest key that exists.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from mtpano_model.errors import MtpanoError

Config = TypeVar("Config")


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """ "did you mean 'lr'?" or the list of what there is."""
    known = list(known)
    near = get_close_matches(wrong, known, n=1)
    return f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(known)}"


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; MtpanoError where it is none."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise MtpanoError(f"{path} cannot be read ({error.strerror}): give a YAML file") from error
    except yaml.YAMLError as error:
        raise MtpanoError(f"{path} is not YAML ({error}): mend it") from error
    if not isinstance(values, dict):
        raise MtpanoError(f"{path} holds {type(values).__name__}: expected keys and values")
    return values


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """["optimizer.lr=1e-4", "losses.dice=0"] -> {"optimizer": {"lr": ...}, "losses": {...}}."""
    nested: dict[str, Any] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals:
            raise MtpanoError(f"'{text}' is no setting: expected KEY=VALUE, e.g. optimizer.lr=1e-4")
        *path, leaf = key.strip().split(".")
        place = nested
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise MtpanoError(f"'{text}' sets a part of '{part}', which is {place!r} already")
        try:
            place[leaf] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            what = getattr(error, "problem", None) or error
            raise MtpanoError(f"the value of '{text}' is not YAML ({what}): mend it") from error
    return nested


def updated(config: Config, values: Mapping[str, Any], where: str = "") -> Config:
    """A copy of a (nested) dataclass with some fields replaced by plain values."""
    hints = typing.get_type_hints(type(config))
    changes = {}
    for key, value in values.items():
        if key not in hints:
            raise MtpanoError(f"unknown key '{where}{key}': {did_you_mean(key, hints)}")
        old = getattr(config, key)
        if dataclasses.is_dataclass(old) and isinstance(value, Mapping):
            changes[key] = updated(old, value, f"{where}{key}.")
        else:
            changes[key] = _converted(value, hints[key], f"{where}{key}")
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def _converted(value: Any, kind: Any, key: str) -> Any:
    """`value` as `kind`: bool, int, float, str, a Literal, a dataclass, or a tuple of those."""
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        if value not in choices:
            raise MtpanoError(f"{key} is '{value}': {did_you_mean(str(value), choices)}")
        return value
    if typing.get_origin(kind) is tuple and isinstance(value, (list, tuple)):
        item, *_ = typing.get_args(kind)
        return tuple(_converted(v, item, f"{key}[{i}]") for i, v in enumerate(value))
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        return _built(kind, value, key)
    if kind is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass
    elif isinstance(kind, type) and type(value) is kind:
        return value
    wanted = getattr(kind, "__name__", str(kind))
    raise MtpanoError(f"{key} is {value!r}: expected {wanted}")


def _built(kind: Any, values: Mapping[str, Any], key: str) -> Any:
    hints = typing.get_type_hints(kind)
    for name in values:
        if name not in hints:
            raise MtpanoError(f"unknown key '{key}.{name}': {did_you_mean(name, hints)}")
    missing = [
        f.name
        for f in dataclasses.fields(kind)
        if f.name not in values and f.default is dataclasses.MISSING
    ]
    if missing:
        raise MtpanoError(f"{key} lacks '{missing[0]}': give {', '.join(missing)}")
    return kind(**{n: _converted(v, hints[n], f"{key}.{n}") for n, v in values.items()})


def plain(config: Any) -> dict[str, Any]:
    """A configuration as YAML and JSON know it: tuples become lists."""

    def listed(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: listed(v) for k, v in value.items()}
        return [listed(v) for v in value] if isinstance(value, (list, tuple)) else value

    return listed(dataclasses.asdict(config))


def first_difference(
    old: Mapping[str, Any], new: Mapping[str, Any], where: str = ""
) -> tuple[str, Any, Any] | None:
    """(dotted key, old, new) of the first value that differs between two `plain` configurations."""
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            inner = first_difference(before, value, f"{where}{key}.")
            if inner:
                return inner
        elif before != value:
            return f"{where}{key}", before, value
    return None
