"""Renders one view: truth, picture, and its line of the index."""

from __future__ import annotations

import dataclasses
import math
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.pictures.truth_files import BODY, HOLE
from mtpano_model.worlds import picture
from mtpano_model.worlds.camera import View, is_worth_a_picture
from mtpano_model.worlds.renderer import Renderer
from mtpano_model.worlds.rig import draw_rig
from mtpano_model.worlds.split import Split
from mtpano_model.worlds.truth import encode_truth
from mtpano_model.worlds.world import World


@dataclass(frozen=True)
class Settings:
    """Settings that change the views of a seed; size: (H, W)."""

    size: tuple[int, int]
    split: Split
    views: int
    samples: int
    revision: int
    stock: str
    drive_seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "size": list(self.size)}


@dataclass
class Shot:
    """A line of the index without its name, and pictures by suffix."""

    entry: dict[str, Any]
    pictures: dict[str, NDArray[Any]]


def shoot(
    renderer: Renderer,
    world: World,
    view: View,
    rng: random.Random,
    settings: Settings,
    frame: int | None = None,
) -> Shot | None:
    """Render a view of the opened world; None if the camera is inside an object.

    frame: number of a drive's frame, which is rendered in any case.
    """
    axes = view.world_from_camera()
    view = dataclasses.replace(view, rig=draw_rig(rng, view.position[2], axes, view.position))
    raw = renderer.truth(view)
    if frame is None and not is_worth_a_picture(raw["depth"], raw["label"], view.style):
        return None
    light = renderer.picture(view, settings.samples, rng.randrange(1 << 20) + (frame or 0))
    truth = encode_truth(raw["depth"], raw["normal"], raw["label"], axes, world.plan.outdoors)
    rgb, curve = picture.expose(light, rng, world.mood.mode == "dim", frame or 0)
    truth.cover(picture.holes(rgb, rng), HOLE)
    truth.cover(picture.caps(rgb, rng), BODY)
    entry = {"room": world.name, **describe(world, view, settings)}
    entry.update(statistics(truth.millimetres, truth.semantic, rgb), tone=curve)
    return Shot(entry, {".jpg": rgb, **{f"{k}.png": v for k, v in truth.files().items()}})


def describe(world: World, view: View, settings: Settings) -> dict[str, Any]:
    """Facts of the index about a view's place and content."""
    room = world.plan.rooms[view.room]
    axes = view.world_from_camera()
    ceiling = room.ceiling(view.position[0], view.position[1])
    return {
        "kind": world.plan.kind,
        "theme": room.theme,
        "split": settings.split,
        "place": view.style,
        "ceiling_m": round(ceiling, 3) if math.isfinite(ceiling) else None,
        "floor_area_m2": round(room.area, 2),
        "camera_height_m": round(view.position[2], 4),
        "pitch_deg": round(math.degrees(view.pitch), 3),
        "roll_deg": round(math.degrees(view.roll), 3),
        "width": settings.size[1],
        "height": settings.size[0],
        "light": world.mood.mode,
        "hdri": world.scene.sky.name,
        "textures": world.textures,
        "models": world.models,
        "world_from_camera": axes.round(7).tolist(),
        "camera_position_m": [round(v, 5) for v in view.position],
        "gravity_optical": (axes.T @ np.array([0.0, 0.0, -1.0])).round(7).tolist(),
        "carrier_seen": bool(view.rig),
    }


def statistics(millimetres: Any, semantic: Any, rgb: Any) -> dict[str, Any]:
    """Figures for the index, so that a set can be searched without opening its pictures."""
    known = millimetres[millimetres > 0] / 1000
    return {
        "invalid_fraction": round(float((millimetres == 0).mean()), 4),
        "depth_percentiles_m": [
            round(float(v), 3) for v in np.percentile(known, (1, 5, 50, 95, 100))
        ],
        "classes": np.unique(semantic[semantic > 0]).tolist(),
        "mean_rgb": round(float(rgb.mean()), 1),
    }


def about(world: World) -> dict[str, Any]:
    """Planes and known objects of a world, with which --verify compares its views."""
    return {
        "kind": world.plan.kind,
        "rooms": [
            {
                "polygon": room.polygon,
                "theme": room.theme,
                "height": room.height if room.roofed else None,
                "slope": room.slope,
            }
            for room in world.plan.rooms
        ],
        "models": [
            {"key": m.key, "label": m.label, "box": [round(v, 4) for v in m.box]}
            for m in world.scene.models
        ],
    }
