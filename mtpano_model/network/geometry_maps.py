"""Ray and position of every token: the inputs of the geometry-aware modulation."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtpano_model.geometry import sphere

Rays = Literal["half_pixel", "released"]
Position = Literal["sincos", "angles"]

POSITION_CHANNELS = {"sincos": 4, "angles": 2}


def geometry_maps(
    height: int, width: int, rays: Rays = "half_pixel", position: Position = "sincos"
) -> tuple[Tensor, Tensor]:
    """Ray [1, 3, H, W] and position [1, P, H, W] maps at token resolution, float32.

    "half_pixel" rays are the optical-frame rays of the token centres. "released" reproduces the
    authors' buffers: colatitude phi in [0, pi] and theta in [0, 2 pi], both ends included, ray =
    (sin phi cos theta, cos phi, sin phi sin theta). Position "angles" is the pair of angles, which
    jumps at the seam; "sincos" is (sin lat, cos lat, sin lon, cos lon), which does not.
    """
    ray: NDArray[np.floating]
    vertical: NDArray[np.floating]
    horizontal: NDArray[np.floating]
    if rays == "released":
        phi = np.linspace(0, np.pi, height)[:, None]
        theta = np.linspace(0, 2 * np.pi, width)[None, :]
        ray = np.stack(
            [
                np.sin(phi) * np.cos(theta),
                np.cos(phi) * np.ones_like(theta),
                np.sin(phi) * np.sin(theta),
            ]
        )
        vertical, horizontal = phi, theta
    else:
        ray = np.moveaxis(sphere.rays(height, width), -1, 0)
        vertical = sphere.latitudes(height)[:, None]
        horizontal = sphere.longitudes(width)[None, :]
    if position == "angles":
        channels = [vertical, horizontal]
    else:
        channels = [np.sin(vertical), np.cos(vertical), np.sin(horizontal), np.cos(horizontal)]
    place = np.stack([np.broadcast_to(channel, (height, width)) for channel in channels])
    return _tensor(ray), _tensor(place)


def _tensor(maps: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32))[None]


def pole_weights(height: int, rays: Rays = "half_pixel") -> Tensor:
    """|sin latitude| of every token row, [1, 1, H, 1]: how much the wide polar kernel counts."""
    latitude = (
        np.pi / 2 - np.linspace(0, np.pi, height)
        if rays == "released"
        else sphere.latitudes(height)
    )
    return _tensor(np.abs(np.sin(latitude))[None, :, None])
