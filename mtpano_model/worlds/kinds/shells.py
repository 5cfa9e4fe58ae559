"""The main room and its annexes: shells, lamps, and annexes furnished as at home."""

from __future__ import annotations

from mtpano_model.worlds.furnish import Furnisher
from mtpano_model.worlds.light import light_home_room, light_large_room
from mtpano_model.worlds.shell import HOME, Skin, Surface, build_shell
from mtpano_model.worlds.themes import furnish_home_room


def build_shells(
    f: Furnisher, lamps: float, skin: Skin, spacing: float, style: str | None = None
) -> Surface:
    """The materials of the main room; its lamps hang `spacing` metres apart."""
    surface = build_shell(f, f.plan.rooms[0], skin)
    light_large_room(f, f.plan.rooms[0], lamps, spacing, style)
    build_annexes(f, lamps)
    return surface


def build_annexes(f: Furnisher, lamps: float) -> None:
    """Every room but the first."""
    for room in f.plan.rooms[1:]:
        build_shell(f, room, HOME[room.theme])
        furnish_home_room(f, room)
        light_home_room(f, room, lamps)
