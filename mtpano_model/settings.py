"""Convert plain values (YAML, JSON, `--set key=value`) to frozen dataclasses and back, strictly.

Unknown keys and values of another type are refused, with the nearest key that exists. tyro, which
reads the flags of a command, cannot take this part over: it makes a flag of every field that the
preset has, so a list such as `stages` could not change its length, and what it refuses ends the
process, where a checkpoint's or a file's configuration needs a sentence that names the file.
"""

from __future__ import annotations

import dataclasses
import reprlib
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from mtpano_model.errors import MtpanoError, did_you_mean
from mtpano_model.stored_files import parse_yaml, read_text

Config = TypeVar("Config")

_LARGEST = 2**63  # torch and numpy count in 64 bits


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; MtpanoError if it cannot be read or is not a mapping."""
    try:
        text = read_text(path)
    except OSError as error:
        raise MtpanoError(f"{path} cannot be read ({error.strerror}): give a YAML file") from error
    except UnicodeDecodeError as error:
        raise MtpanoError(f"{path} is not text in UTF-8 ({error}): give a YAML file") from error
    try:
        values = parse_yaml(text) or {}
    except ValueError as error:
        raise MtpanoError(f"{path} is not YAML ({error}): correct it") from error
    if not isinstance(values, dict):
        raise MtpanoError(f"{path} holds {type(values).__name__}: expected keys and values")
    return values


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """["optimizer.lr=1e-4", "losses.dice=0"] -> {"optimizer": {"lr": ...}, "losses": {...}}."""
    nested: dict[str, Any] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals:
            raise MtpanoError(
                f"'{text}' is not a setting: expected KEY=VALUE, such as optimizer.lr=1e-4"
            )
        *path, leaf = key.strip().split(".")
        place = nested
        for part in path:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise MtpanoError(
                    f"'{text}' sets a part of '{part}', which another setting makes {place!r}: "
                    "give one of the two"
                )
        try:
            place[leaf] = parse_yaml(value)
        except ValueError as error:
            raise MtpanoError(
                f"the value of {_shown(text)} is not YAML ({error}): correct it"
            ) from error
    return nested


def updated(config: Config, values: Mapping[str, Any]) -> Config:
    """A copy of a (nested) dataclass with some fields replaced by plain values."""
    return built(type(config), values, base=config)


def built(
    kind: type[Config], values: Mapping[str, Any], where: str = "", base: Config | None = None
) -> Config:
    """A (nested) dataclass of plain values; missing keys come from `base`, or the defaults.

    where: prefix of the keys in messages. MtpanoError for an unknown key, a value of another type,
    or a missing key without a default.
    """
    hints = typing.get_type_hints(kind)
    for key in values:
        if key not in hints:
            raise MtpanoError(f"unknown key '{where}{key}': {did_you_mean(str(key), hints)}")
    changes = {
        key: _converted(value, hints[key], f"{where}{key}", getattr(base, key, None))
        for key, value in values.items()
    }
    if base is not None:
        return dataclasses.replace(base, **changes)  # type: ignore[type-var]
    missing = [
        field.name
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]
        if field.name not in values
        and field.default is field.default_factory is dataclasses.MISSING
    ]
    if missing:
        name = where.removesuffix(".") or kind.__name__
        raise MtpanoError(f"{name} lacks '{missing[0]}': give {', '.join(missing)}")
    return kind(**changes)


def _converted(value: Any, kind: Any, key: str, old: Any = None) -> Any:
    """`value` as `kind`: bool, int, float, str, a Literal, a dataclass, or a tuple of those."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        if value not in parts:
            raise MtpanoError(f"{key} is {_shown(value)}: {did_you_mean(_shown(value), parts)}")
        return value
    if origin is tuple and isinstance(value, (list, tuple)):
        kinds = [parts[0]] * len(value) if parts[-1] is Ellipsis else parts
        if len(kinds) == len(value):
            pairs = enumerate(zip(value, kinds, strict=True))
            return tuple(_converted(item, kind, f"{key}[{i}]") for i, (item, kind) in pairs)
    if dataclasses.is_dataclass(kind) and isinstance(value, Mapping):
        return built(kind, value, f"{key}.", old)  # type: ignore[arg-type]
    if kind is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    elif type(value) is kind and not (type(value) is int and abs(value) >= _LARGEST):
        return value
    wanted = str(kind) if parts else getattr(kind, "__name__", str(kind))
    if origin is tuple:
        any_number = parts[-1] is Ellipsis
        wanted = "a list, such as [a, b]" if any_number else f"a list of {len(parts)} values"
    raise MtpanoError(f"{key} is {_shown(value)}: expected {wanted}")


def _shown(value: Any) -> str:
    """A value in a message, cut to a reader's length."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "a number of thousands of digits"


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
