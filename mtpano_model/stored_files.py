"""Reads files back that a program wrote; a missing or damaged one is refused in one sentence."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from mtpano_model.errors import MtpanoError


def open_regular(path: Path) -> BinaryIO:
    """A file to read bytes from, unbuffered; OSError where there is none.

    A pipe is refused: without a writer, opening it would wait for ever. So are devices, which
    need not end.
    """
    file = open(path, "rb", buffering=0, opener=_without_waiting)  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return file


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def read_text(path: Path) -> str:
    """The text of a regular file in UTF-8; OSError where there is none, ValueError for bytes."""
    with open_regular(path) as file:
        return file.read().decode()


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text; ValueError also where it nests too deeply to be read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it nests too deeply") from None


def parse_yaml(text: str | bytes) -> Any:
    """The value of a YAML text; ValueError, in one line."""
    import yaml

    try:
        return yaml.safe_load(text)
    except RecursionError:
        raise ValueError("it nests too deeply") from None
    # What PyYAML raises for text that is not YAML, or whose tags do not fit what they stand before.
    except (
        yaml.YAMLError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OverflowError,
    ) as error:
        problem = str(getattr(error, "problem", None) or error)
        raise ValueError(problem.splitlines()[0] if problem else type(error).__name__) from error


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """The object in a JSON file; MtpanoError, which ends with `remedy`, where it holds none."""
    try:
        with open_regular(path) as file:
            value = parse_json(file.read())
    except OSError as error:
        raise MtpanoError(f"{path} cannot be read ({error.strerror}): {remedy}") from error
    except ValueError as error:
        raise MtpanoError(f"{path} is damaged ({error}): {remedy}") from error
    if not isinstance(value, dict):
        raise MtpanoError(f"{path} holds no JSON object but {type(value).__name__}: {remedy}")
    return value
