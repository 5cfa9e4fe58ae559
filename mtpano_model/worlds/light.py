"""Lamps, daylight and the sky outside."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mtpano_model.worlds import labels
from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.plan import Room
from mtpano_model.worlds.scene import Color, Light, Scene, Sky
from mtpano_model.worlds.split import Split

# Fixed, so that no two pictures of one place (bpy's sunrise and sunset are pmndrs's too) fall on
# both sides.
SKIES: dict[Split, tuple[str, ...]] = {
    "train": (
        "pmndrs:city",
        "pmndrs:dawn",
        "pmndrs:forest",
        "pmndrs:sunset",
        "pmndrs:venice",
        "pmndrs:sky",
        "pmndrs:bridge",
        "bpy:sunrise",
        "bpy:sunset",
        "bpy:night",
    ),
    "heldout": ("pmndrs:park", "pmndrs:night", "bpy:city", "bpy:courtyard", "bpy:forest"),
}
Mode = Literal["mixed", "day", "evening", "dim"]


@dataclass(frozen=True)
class Mood:
    """How a world is lit: daylight (1 is a cloudy day), lamps (1 is usual), watts of the sun."""

    mode: Mode
    daylight: float
    lamps: float
    sun: float


def choose_mood(rng: random.Random, outdoors: bool) -> Mood:
    """Mostly lamps and daylight together; at times lamps alone, daylight alone or nearly dark."""
    if outdoors:
        bright = math.exp(rng.uniform(math.log(0.6), math.log(4)))
        return Mood("day", bright, 0.0, rng.uniform(4, 12) if rng.random() < 0.6 else 0.0)
    mode: Mode = rng.choices(("mixed", "day", "evening", "dim"), (0.58, 0.2, 0.16, 0.06))[0]
    sun = rng.uniform(15, 60) if mode in ("mixed", "day") and rng.random() < 0.5 else 0.0
    daylight = {
        "mixed": math.exp(rng.uniform(math.log(0.5), math.log(5))),
        "day": rng.uniform(2, 8),
        "evening": rng.uniform(0.01, 0.25),
        "dim": rng.uniform(0.01, 0.3),
    }[mode]
    lamps = {"mixed": 1.0, "day": 0.1, "evening": 1.0, "dim": 0.04}[mode] * rng.uniform(0.5, 1.3)
    return Mood(mode, daylight, lamps, sun)


def light_outside(scene: Scene, rng: random.Random, skies: Sequence[str], mood: Mood) -> None:
    """One of the skies, and the sun where it shines: through windows it draws patches."""
    scene.sky = Sky(rng.choice(skies), mood.daylight, rng.uniform(0, 2 * math.pi))
    if mood.sun:
        scene.lights.append(
            Light(
                "sun",
                0,
                0,
                0,
                mood.sun,
                math.radians(0.6),
                color=(1.0, 0.93, 0.82),
                elevation=math.radians(rng.uniform(12, 60)),
                azimuth=rng.uniform(0, 2 * math.pi),
            )
        )


def _lamp_color(rng: random.Random) -> Color:
    if rng.random() < 0.7:
        warmth = rng.random()
        return (1.0, 0.93 - 0.2 * warmth, 0.85 - 0.45 * warmth)
    return (rng.uniform(0.85, 1), 1.0, 1.0)


def light_home_room(f: Furnisher, room: Room, strength: float) -> None:
    """One to six ceiling lamps of one style, and pendants over tables."""
    rng = f.rng
    places = _grid(room, 1 if room.area < 12 else min(6, int(room.area // 10) + 1), rng)
    styles = ["panel", "disc", "sphere", "cone", "spots", "model", "model"]
    style = rng.choice(styles if room.area > 4 else ["disc", "panel", "sphere"])
    color = _lamp_color(rng)
    watts = room.area * rng.uniform(4, 9) * strength / len(places)
    for x, y in places:
        _lamp(f, room, style, x, y, watts, color)
    for where, x, y in f.lamps_over:
        if where is room:
            _lamp(f, room, rng.choice(("cone", "sphere")), x, y, watts * 0.6, color)


def _grid(room: Room, count: int, rng: random.Random) -> list[tuple[float, float]]:
    across = max(1, round(math.sqrt(count * room.size[0] / room.size[1])))
    along = max(1, math.ceil(count / across))
    places = [
        (
            float(room.low[0] + room.size[0] * (i + 0.5) / across),
            float(room.low[1] + room.size[1] * (j + 0.5) / along),
        )
        for i in range(across)
        for j in range(along)
    ]
    inside = [p for p in places if room.holds(p[0] - 0.25, p[1] - 0.25, p[0] + 0.25, p[1] + 0.25)]
    if not inside:
        (x0, y0), (x1, y1), (x2, y2) = room.polygon[:3]
        inside = [((x0 + x1 + x2) / 3, (y0 + y1 + y2) / 3)]
    return [(x + rng.uniform(-0.08, 0.08), y + rng.uniform(-0.08, 0.08)) for x, y in inside]


def _lamp(
    f: Furnisher, room: Room, style: str, x: float, y: float, watts: float, color: Color
) -> None:
    rng, scene = f.rng, f.scene
    top = room.ceiling(x, y) - 0.001
    glow = f.of(f.finishes.lamp(color, rng.uniform(1.5, 5) if watts > 3 else 0.3), labels.LAMP)
    dark = f.of(f.finishes.painted((0, 0.2), (0.05, 0.8), 0.4), labels.LAMP)

    def shine(
        kind: Literal["area", "disk", "point"],
        z: float,
        share: float,
        size: float,
        size_y: float = 0,
    ) -> None:
        scene.lights.append(Light(kind, x, y, z, watts * share, size, size_y, color))

    if style == "model":
        model = f.pick("hanglamp", highest=room.lowest_ceiling - 1.9)
        if model is None:
            style = "disc"
        else:
            f.put(model, x, y, top - model.size[2], rng.uniform(0, 6.28), takes=False)
            shine("point", max(1.7, top - model.size[2] - 0.12), 0.9, 0.1)
            shine("disk", top - 0.02, 0.2, 0.3)
    drop = rng.uniform(0.25, max(0.3, top - 2.0))
    if style == "panel":
        w, d = rng.choice(((0.6, 0.6), (1.2, 0.3), (0.3, 0.3)))
        glow.block(x - w / 2, y - d / 2, top - 0.04, x + w / 2, y + d / 2, top)
        shine("area", top - 0.05, 1.0, w, d)
    elif style == "disc":
        r = rng.uniform(0.12, 0.3)
        profile = [(0.0, -0.07), (r * 0.8, -0.065), (r, -0.03), (r, 0.0)]
        glow.profile((x, y, top), profile, 24)
        shine("disk", top - 0.08, 0.8, 2 * r)
        shine("point", top - 0.3, 0.4, 0.1)
    elif style == "sphere":
        r, z = rng.uniform(0.08, 0.2), top - drop
        arc = [math.pi * k / 11 for k in range(12)]
        ball = [(max(0.001, r * math.sin(a)), -r * math.cos(a)) for a in arc]
        glow.profile((x, y, z), ball)
        dark.block(x - 0.006, y - 0.006, z + r, x + 0.006, y + 0.006, top)
        shine("point", z - r - 0.03, 1.3, r)
    elif style == "cone":
        r, z = rng.uniform(0.12, 0.28), top - drop
        dark.profile((x, y, z), [(r, 0), (r * 0.35, r * 0.8), (0.02, r * 0.9)], 24)
        glow.profile((x, y, z + 0.04), [(0.001, 0), (0.05, 0.02), (0.05, 0.06), (0.001, 0.1)], 12)
        dark.block(x - 0.006, y - 0.006, z + r * 0.85, x + 0.006, y + 0.006, top)
        shine("disk", z, 0.9, r * 1.6)
        shine("point", z + r + 0.1, 0.25, 0.08)
    elif style == "spots":
        for dx in (-0.35, 0.35):
            for dy in (-0.35, 0.35):
                if room.contains(x + dx, y + dy):
                    at = (x + dx, y + dy, room.ceiling(x + dx, y + dy) - 0.001)
                    glow.profile(at, [(0.001, -0.012), (0.05, -0.012), (0.05, 0)], 16)
        shine("area", top - 0.02, 1.0, 0.7, 0.7)


def light_large_room(
    f: Furnisher, room: Room, strength: float, spacing: float, style: str | None = None
) -> None:
    """Rows of panels, tubes, round reflectors or light lines: a grid over a large room."""
    rng, scene = f.rng, f.scene
    style = style or rng.choice(("panel", "tube", "tube", "reflector", "line"))
    color = rng.choice(((1.0, 1.0, 1.0), (0.9, 0.97, 1.0), (1.0, 0.93, 0.82), (1.0, 0.97, 0.9)))
    counts = [max(1, round(s / spacing)) for s in room.size]
    over = (
        rng.uniform(0.02, 0.08)
        if room.lowest_ceiling < 3.2
        else rng.uniform(0.1, 0.25) * room.lowest_ceiling
    )
    watts = (
        room.area * rng.uniform(6, 14) * (1 + room.height / 8) * strength / (counts[0] * counts[1])
    )
    glow = f.of(f.finishes.lamp(color, rng.uniform(2, 6) if strength > 0.15 else 0.3), labels.LAMP)
    dark, along_x = f.of(f.finishes.steel(), labels.LAMP), f.chance(0.5)
    for i in range(counts[0]):
        for j in range(counts[1]):
            x, y = (
                float(room.low[k] + room.size[k] * (n + 0.5) / counts[k])
                for k, n in ((0, i), (1, j))
            )
            if not room.holds(x - 0.7, y - 0.7, x + 0.7, y + 0.7):
                continue
            top = room.ceiling(x, y)
            z = top - (0.0 if style == "panel" and over < 0.1 else over)
            wide, deep = {
                "panel": (0.6, 0.6),
                "tube": (1.5, 0.1),
                "line": (spacing * 0.8, 0.08),
            }.get(style, (0.5, 0.5))
            if not along_x:
                wide, deep = deep, wide
            if style == "reflector":
                dark.profile((x, y, z), [(0.28, 0), (0.2, 0.2), (0.08, 0.35)], 20)
                glow.profile((x, y, z + 0.03), [(0.001, 0), (0.2, 0.01), (0.001, 0.02)], 20)
            else:
                glow.block(x - wide / 2, y - deep / 2, z - 0.06, x + wide / 2, y + deep / 2, z)
            if top - z > 0.3:
                dark.pipe((x, y, z), (x, y, top), 0.012, 6)
            scene.lights.append(
                Light("area", x, y, z - 0.08, watts, max(wide, 0.3), max(deep, 0.3), color)
            )
