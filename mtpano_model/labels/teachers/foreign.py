"""Shared code of the teachers that run their authors' own code."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mtpano_model.data.panorama import Panorama
from mtpano_model.data.panorama_files import planes
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere_rays import rays_like
from mtpano_model.labels.teachers.hub import imagenet
from mtpano_model.network.foreign.files import read_state
from mtpano_model.pictures.resize import resize_image
from mtpano_model.pictures.size import Size

_FACING = 0.9  # share of normals that must look towards the camera


def from_package(teacher: str, module: str, name: str, remedy: str) -> Any:
    """`name` from an authors' module; MtpanoError, which ends with `remedy`, if it is missing."""
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise MtpanoError(
            f"teacher '{teacher}' needs its authors' code ({error}): {remedy}"
        ) from error


def checkpoint(teacher: str, source: str | None, usual: str) -> dict[str, Any]:
    """Tensors (and settings) of a checkpoint file. usual: advice if none is given."""
    if source is None:
        raise MtpanoError(f"teacher '{teacher}' needs a checkpoint: {usual}")
    return read_state(Path(source))


def fill(teacher: str, model: torch.nn.Module, state: dict[str, Any]) -> None:
    """Load a state dict; MtpanoError if a tensor is missing or has another shape."""
    wanted = model.state_dict()
    missing = sorted(set(wanted) - set(state))
    wrong = [k for k in wanted if k in state and state[k].shape != wanted[k].shape]
    if missing or wrong:
        what = f"lack {missing[0]}" if missing else f"have another shape of {wrong[0]}"
        raise MtpanoError(
            f"the weights of teacher '{teacher}' {what}: they are of another version than its "
            "authors' code; use matching versions of both"
        )
    model.load_state_dict({key: state[key] for key in wanted})


def picture(panorama: Panorama, size: Size, device: torch.device | str, normalise: bool) -> Tensor:
    """float [1, 3, H, W] at `size`: 0..1, or with ImageNet's statistics."""
    image = planes(resize_image(panorama.image, size)).to(device)[None]
    return imagenet(image) if normalise else image.float() / 255


def on_canvas(values: Tensor, size: Size) -> Tensor:
    """Map [..., h, w] of one panorama -> float [1, C, H, W] of nearest pixels, to keep edges."""
    h, w = values.shape[-2:]
    return F.interpolate(values.float().reshape(1, -1, h, w), size, mode="nearest-exact")


def check_facing(teacher: str, normals: Tensor) -> None:
    """MtpanoError if normals [1, 3, H, W], optical frame, do not look at the camera, as those of
    all visible surfaces do: the weights then use other axes than the teacher assumes."""
    height, width = normals.shape[-2:]
    towards = -rays_like(normals, height, width)[0]
    known = normals.square().sum(1) > 0.25
    facing = ((normals[0] * towards).sum(0)[known[0]] > -0.2).float()
    if len(facing) and facing.mean() < _FACING:
        raise MtpanoError(
            f"{100 * (1 - facing.mean()):.0f} % of the normals of teacher '{teacher}' look away "
            "from the camera: its weights are of another version, with other axes; use those that "
            "docs/labels.md names"
        )
