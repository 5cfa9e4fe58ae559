"""The height of every pixel's surface over the floor; which surfaces are floor or obstacles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.robot.sampling import Floats, along
from mtpano_model.robot.surfaces import labelled

Mask = NDArray[np.bool_]


def heights(depth: Floats, down: NDArray[Any], camera_height: float = 0.0) -> Floats:
    """Metres over the floor of every pixel's surface, [H, W]; NaN where there is no surface.

    camera_height: of the camera over the floor; with 0 heights are over the camera.
    """
    out = along(down, depth.shape)
    with np.errstate(invalid="ignore"):
        np.multiply(out, depth, out=out)
        np.subtract(np.float32(camera_height), out, out=out)
        out[~np.isfinite(depth)] = np.nan
    return out


@dataclass(frozen=True)
class ObstacleRules:
    """What is floor and what is an obstacle, by label and by height over the floor in metres.

    floor_ids: class ids of floors. floor_tolerance: how far a floor pixel may lie from height 0;
    what is labelled floor and lies farther off is taken by its height. max_height: what lies higher
    is in nobody's way.
    """

    floor_ids: tuple[int, ...]
    min_height: float = 0.05
    max_height: float = 2.0
    floor_tolerance: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.min_height < self.max_height or self.floor_tolerance < 0:
            raise MtpanoError(
                f"obstacles from {self.min_height:g} to {self.max_height:g} m over the floor make "
                "no sense: expected 0 <= minimum < maximum, and a floor tolerance of 0 or more"
            )


def split(height: Floats, labels: NDArray[Any], rules: ObstacleRules) -> tuple[Mask, Mask]:
    """(floor, obstacles) of heights over the floor [H, W] and labels [H, W]; never both.

    Floor is what is labelled so near height 0, and what lies below min_height whatever its label.
    A hole deeper than the tolerance below the floor is neither: nothing stands there.
    """
    with np.errstate(invalid="ignore"):
        level = np.abs(height) <= rules.floor_tolerance
        low = height < rules.min_height
        floor = level & (labelled(labels, rules.floor_ids) | low)
        obstacles = ~floor & (height >= rules.min_height) & (height <= rules.max_height)
    return floor, obstacles
