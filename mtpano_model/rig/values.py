"""Reads YAML files and the numbers in them; MtpanoError for anything else."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.stored_files import parse_yaml, read_text


def yaml_of(path: Path, what: str) -> Any:
    """The content of a YAML file; MtpanoError if that fails. what: its kind, for messages."""
    try:
        return parse_yaml(read_text(path))
    except OSError as error:
        raise MtpanoError(f"cannot read {what} {path}: {error.strerror}") from error
    except ValueError as error:  # also of bytes that are no text
        raise MtpanoError(f"{what} {path} is not YAML: {error}") from error


def number(value: Any, name: str) -> float:
    """A finite or infinite float; MtpanoError for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        found = float(value) if is_number else math.nan
    except OverflowError:  # of an integer of hundreds of digits
        raise MtpanoError(f"{name} is too large, expected a number") from None
    if math.isnan(found):
        raise MtpanoError(f"{name} is {value!r}, expected a number")
    return found


def numbers(value: Any, name: str, count: int | None = None) -> tuple[float, ...]:
    """A list of numbers, `count` of them where that is given."""
    if not isinstance(value, list | tuple) or (count is not None and len(value) != count):
        many = "numbers" if count is None else f"{count} numbers"
        raise MtpanoError(f"{name} is {value!r}, expected a list of {many}")
    return tuple(number(one, name) for one in value)


def is_rotation(matrix: NDArray[np.float64]) -> bool:
    """Whether a matrix is 3x3, orthonormal to 0.001, and of determinant 1."""
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        return False
    is_orthonormal = np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-3)
    return bool(is_orthonormal and np.linalg.det(matrix) > 0)
