"""What a world consists of, as plain data: surfaces, models, lights and sky."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mtpano_model.worlds.plan import Box

Color = tuple[float, float, float]
Vertex = tuple[float, float, float]


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    kind: "paint" and "metal" have a colour; "texture" a picture that repeats every `size` metres,
        or follows the mesh's own coordinates where `size` is 0; "glass" lets most light through;
        "mirror"; "lamp" shines with `strength`; "screen" shows a texture and shines.
    """

    kind: Literal["paint", "texture", "glass", "mirror", "lamp", "screen"]
    color: Color = (0.8, 0.8, 0.8)
    roughness: float = 0.5
    metallic: float = 0.0
    strength: float = 0.0
    texture: str = ""
    size: float = 0.0
    turn: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    hue: float = 0.5
    saturation: float = 1.0
    value: float = 1.0


@dataclass
class Surfaces:
    """All faces that share material, class and shading; label: an NYU40 id as in the truth."""

    material: Material
    label: int
    smooth: bool
    vertices: list[Vertex] = field(default_factory=list)
    faces: list[tuple[int, ...]] = field(default_factory=list)
    uv: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Placed:
    """A model of the catalogue in the world: its middle at x, y, its bottom at z, turned by angle.

    size: width, depth and height after scaling, metres; tint: (hue shift, saturation, value).
    """

    key: str
    x: float
    y: float
    z: float
    angle: float
    size: tuple[float, float, float]
    label: int
    tint: tuple[float, float, float] | None = None

    @property
    def box(self) -> Box:
        """Bounds in the world."""
        c, s = abs(np.cos(self.angle)), abs(np.sin(self.angle))
        w, d, h = self.size
        wide, deep = (w * c + d * s) / 2, (w * s + d * c) / 2
        return (self.x - wide, self.y - deep, self.z, self.x + wide, self.y + deep, self.z + h)

    def at(self, dx: float, dy: float) -> tuple[float, float]:
        """World place of a point given in the model's own frame."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        return float(self.x + dx * c - dy * s), float(self.y + dx * s + dy * c)


def footprint(
    x: float, y: float, angle: float, size: tuple[float, float, float], label: int = 0
) -> Placed:
    """Where a model may be put, or a body built, on the floor."""
    return Placed("", float(x), float(y), 0.0, angle, size, label)


@dataclass(frozen=True)
class Light:
    """A lamp's light: "area" (size by size_y, downwards), "disk", "point" or "sun" (direction)."""

    kind: Literal["area", "disk", "point", "sun"]
    x: float
    y: float
    z: float
    watts: float
    size: float
    size_y: float = 0.0
    color: Color = (1.0, 1.0, 1.0)
    elevation: float = 0.0
    azimuth: float = 0.0


@dataclass(frozen=True)
class Sky:
    """The outside: a panorama (its name among the ingredients), how bright, how turned."""

    name: str
    brightness: float
    turn: float


class Scene:
    """A world under construction."""

    def __init__(self) -> None:
        self.groups: dict[tuple[Material, int, bool, bool], Surfaces] = {}
        self.models: list[Placed] = []
        self.lights: list[Light] = []
        self.sky = Sky("", 0.0, 0.0)
        self.occupied: list[Box] = []
        self.keep_clear: list[Box] = []  # furniture stays out, a camera may stand there

    def mesh(
        self,
        vertices: Sequence[Sequence[float]],
        faces: Sequence[tuple[int, ...]],
        material: Material,
        label: int,
        uv: Sequence[tuple[float, float]] = (),
        smooth: bool = False,
    ) -> None:
        """Add faces; uv: one texture place for each vertex."""
        key = (material, label, smooth, bool(uv))
        group = self.groups.setdefault(key, Surfaces(material, label, smooth))
        first = len(group.vertices)
        group.vertices.extend((float(x), float(y), float(z)) for x, y, z in vertices)
        group.faces.extend(tuple(first + i for i in face) for face in faces)
        group.uv.extend(uv)

    def take(self, box: Box) -> None:
        """Mark the box as filled."""
        self.occupied.append(box)

    def is_free(self, box: Box, margin: float = 0.03) -> bool:
        """Whether nothing stands in the box, nor what must be kept clear."""
        return not any(overlaps(box, other, margin) for other in (*self.occupied, *self.keep_clear))

    def save(self, folder: Path, models: dict[str, dict[str, Any]]) -> None:
        """Write scene.json and surfaces.npz for the renderer; models: key -> file and rotation."""
        arrays: dict[str, Any] = {}
        groups = []
        for number, group in enumerate(self.groups.values()):
            arrays[f"v{number}"] = np.array(group.vertices, np.float32)
            arrays[f"l{number}"] = np.array([i for f in group.faces for i in f], np.int32)
            arrays[f"n{number}"] = np.array([len(f) for f in group.faces], np.int32)
            if group.uv:
                arrays[f"uv{number}"] = np.array(group.uv, np.float32)
            groups.append(
                {"material": asdict(group.material), "label": group.label, "smooth": group.smooth}
            )
        np.savez(folder / "surfaces.npz", **arrays)
        data = {
            "groups": groups,
            "placed": [asdict(p) for p in self.models],
            "models": models,
            "lights": [asdict(light) for light in self.lights],
            "sky": asdict(self.sky),
        }
        (folder / "scene.json").write_text(json.dumps(data), encoding="utf-8")


def overlaps(a: Box, b: Box, margin: float = 0.0) -> bool:
    """Whether two boxes come nearer than `margin` along the ground and share some height."""
    return (
        a[0] < b[3] + margin
        and a[3] > b[0] - margin
        and a[1] < b[4] + margin
        and a[4] > b[1] - margin
        and a[2] < b[5]
        and a[5] > b[2]
    )
