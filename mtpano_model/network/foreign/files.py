"""Reads third-party checkpoints: pickles that hold only tensors, and safetensors files."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mtpano_model.errors import MtpanoError, one_line


def read_pickle(file: Path, expected: str) -> Any:
    """The contents of a PyTorch file, read with weights_only, so that no code in it can run.

    expected: a description of the right file, for messages. MtpanoError if it is missing,
    truncated, or holds more than tensors and plain values.
    """
    if not file.is_file():
        raise MtpanoError(f"checkpoint {file} does not exist or is not a file: expected {expected}")
    try:
        # Only today's format, a zip archive, can be mapped into memory.
        mapped = zipfile.is_zipfile(file)
        return torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise MtpanoError(
            f"{file} is not a checkpoint of PyTorch, or holds more than tensors, and was not "
            f"opened (it could run code): expected {expected}"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, SafetensorError) as error:
        raise MtpanoError(
            f"{file} is truncated or not a PyTorch checkpoint ({_short(error)}): download it again"
        ) from error


def _short(error: Exception) -> str:
    """The first sentence of torch's message, which continues with guesses and links."""
    return one_line(error).split(". ")[0]


def read_state(file: Path) -> dict[str, Any]:
    """The state dict of a .pth or .safetensors file, and the plain values beside it.

    MtpanoError if it is missing, damaged or not a state dict.
    """
    if file.suffix == ".safetensors":
        try:
            return dict(load_file(file))
        except (OSError, SafetensorError) as error:
            raise MtpanoError(
                f"checkpoint {file} cannot be read ({error}): expected a .safetensors file"
            ) from error
    state = read_pickle(file, "a .pth file of tensors")
    if not isinstance(state, dict) or not any(isinstance(v, Tensor) for v in state.values()):
        raise MtpanoError(f"{file} has no tensors by name: expected a network's state dict")
    return state


def without_prefix(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The same tensors, with a prefix removed from the names that begin with it."""
    return {name.removeprefix(prefix): value for name, value in state.items()}
