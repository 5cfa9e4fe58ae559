"""ZInD: panoramas of real homes with their rooms' layouts, turned into depth, normals, classes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import IGNORE, load_class_set
from mtpano_model.data import panorama_files as files
from mtpano_model.data.public_data import PublicDataset
from mtpano_model.data.room_layout import RoomLayout, Span
from mtpano_model.data.sample import Sample
from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.stored_files import read_json

log = logging.getLogger(__name__)

_SHAPES = ("layout_raw", "layout_complete")
_REMEDY = "copy the home again"


class ZindDataset(PublicDataset):
    """Panoramas of `HOME/zind_data.json` that have a layout and whose floor has a scale.

    A layout is in the room's frame: camera at the origin, y to the image's centre, x to the left, z
    up, in units of the camera's height; metres are that times floor_plan_transformation.scale times
    the floor's scale_meters_per_coordinate. What is seen is the room without its furniture; nothing
    is known behind an opening. Splits: those of zind_partition.json in the root.
    """

    own_set = "nyu40"
    license = ("ZInD", "Zillow's data terms of use (academic, non-commercial)")

    def _list(self, split: str) -> list[str]:
        self._panoramas, skipped = [], 0
        for home in self._homes(split):
            for panorama in _panoramas(home):
                whole = panorama.layout is not None and panorama.image.is_file()
                self._panoramas += [panorama] * whole
                skipped += not whole
        if not self._panoramas:
            raise MtpanoError(
                f"{self.root} holds no panorama of split '{split}' with a layout, a scale and its "
                f"picture ({skipped} without): expected HOME/zind_data.json and HOME/panos/*.jpg"
            )
        if skipped:
            log.warning(
                "%s: %d panoramas without layout, scale or picture skipped", self.root, skipped
            )
        own = load_class_set(self.own_set).names
        self._ids = {
            kind: own.index(kind) for kind in ("wall", "floor", "ceiling", "door", "window")
        }
        self._classes = files.ClassConverter(self.own_set, self.class_set)
        return [panorama.name for panorama in self._panoramas]

    def __getitem__(self, index: int) -> Sample:
        panorama = self._panoramas[index]
        image = files.read_rgb(panorama.image, self.size)
        assert panorama.layout is not None
        seen = panorama.layout.render((image.shape[0], image.shape[1]))
        ids = np.full(seen.depth.shape, -1, np.int32)
        for kind, number in self._ids.items():
            ids[seen.kinds == kind] = number
        semseg = self._classes(ids, panorama.image)
        known = seen.depth > 0
        return files.make_sample(
            panorama.name, image, seen.depth, (seen.normals, known),
            np.where(known, semseg, IGNORE).astype(np.uint8),
        )  # fmt: skip

    def _homes(self, split: str) -> list[Path]:
        homes = sorted(path.parent for path in self.root.glob("*/zind_data.json"))
        if split == "all":
            return homes
        partition = read_json(self.root / "zind_partition.json", "it names the homes of each split")
        wanted = {str(home) for home in partition.get(split, [])}
        return [home for home in homes if home.name in wanted]


@dataclass
class _Panorama:
    name: str
    image: Path
    layout: RoomLayout | None


def _panoramas(home: Path) -> Iterator[_Panorama]:
    data = read_json(home / "zind_data.json", _REMEDY)
    try:
        for floor, rooms in data["merger"].items():
            scale = data["scale_meters_per_coordinate"].get(floor)
            for parts in rooms.values():
                for panoramas in parts.values():
                    for facts in panoramas.values():
                        name = f"{home.name}/{Path(facts['image_path']).stem}"
                        image = home / facts["image_path"]
                        yield _Panorama(name, image, _layout(facts, scale))
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise MtpanoError(
            f"{home / 'zind_data.json'} is not as ZInD's makers document it "
            f"({one_line(error)}): {_REMEDY}"
        ) from error


def _layout(facts: dict[str, Any], scale: float | None) -> RoomLayout | None:
    """The room around a panorama, metres, optical axes; None where it has none or no scale."""
    shape = next(
        (facts[s] for s in _SHAPES if len((facts.get(s) or {}).get("vertices", [])) > 2), None
    )
    if shape is None or not scale:
        return None
    unit = float(scale) * float(facts["floor_plan_transformation"]["scale"])
    camera, ceiling = float(facts["camera_height"]), float(facts["ceiling_height"])
    return RoomLayout(
        corners=_to_ground(shape["vertices"]) * unit,
        floor=camera * unit,
        ceiling=(ceiling - camera) * unit,
        spans=[
            span
            for kind in ("doors", "windows", "openings")
            for span in _spans(shape.get(kind, []), kind[:-1], unit)
        ],
    )


def _spans(points: list[Any], kind: str, unit: float) -> Iterator[Span]:
    """Doors and so on are triples of points: left, right, and (bottom, top)."""
    for n in range(0, len(points) - 2, 3):
        ends = _to_ground(points[n : n + 2]) * unit
        bottom, top = (float(z) * unit for z in points[n + 2])
        yield Span(kind, ends[0], ends[1], bottom, top)


def _to_ground(points: list[Any]) -> NDArray[np.float64]:
    """Room frame (x left, y forward) -> (x right, z forward)."""
    array = np.array(points, np.float64)[:, :2]
    return array * [-1, 1]
