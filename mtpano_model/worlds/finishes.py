"""What surfaces are made of: a random choice of material for a purpose."""

from __future__ import annotations

import colorsys
import random
from collections.abc import Callable, Sequence

from mtpano_model.worlds.scene import Color, Material
from mtpano_model.worlds.textures import TexturePool


class Finishes:
    """Draws materials; remembers which textures it took."""

    def __init__(self, rng: random.Random, pool: TexturePool):
        self.rng, self.pool = rng, pool
        self.used: set[str] = set()
        self._made: dict[object, list[Material]] = {}

    def textured(
        self,
        kinds: Sequence[str],
        roughness: tuple[float, float] = (0.3, 0.8),
        on_mesh: bool = False,
    ) -> Material:
        """A computed texture of one of the kinds, in world size or, on_mesh, by the mesh's uv."""
        rng = self.rng
        texture = self.pool.get(rng.choice(self.pool.names(rng.choice(list(kinds)))))
        self.used.add(texture.name)
        turn = 0.0
        if texture.kind.startswith("floor") and rng.random() < 0.5:
            turn = 1.5708 if rng.random() < 0.8 else 0.7854
        return Material(
            "texture",
            roughness=round(rng.uniform(*roughness), 3),
            texture=texture.name,
            size=0.0 if on_mesh else texture.size * rng.uniform(0.87, 1.1),
            turn=turn,
            shift=(rng.uniform(0, 3), rng.uniform(0, 3)),
            hue=0.5 + rng.uniform(-0.04, 0.04),
            saturation=rng.uniform(0.4, 1.1),
            value=rng.uniform(0.75, 1.15),
        )

    def paint(self, color: Color, roughness: float = 0.5, metallic: float = 0.0) -> Material:
        return Material("paint", color, roughness, metallic)

    def painted(
        self,
        saturation: tuple[float, float] = (0, 0.4),
        value: tuple[float, float] = (0.3, 0.9),
        roughness: float = 0.5,
    ) -> Material:
        """Any colour within bounds; a world has sixteen for the same bounds."""

        def make() -> Material:
            rng = self.rng
            color = colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))
            return self.paint(color, roughness)

        return self._one_of((*saturation, *value, roughness), 16, make)

    def _one_of(self, purpose: object, most: int, make: Callable[[], Material]) -> Material:
        """A new material, or one of the `most` that were made for this purpose.

        Each costs the renderer time, and the books of an office are thousands.
        """
        made = self._made.setdefault(purpose, [])
        if len(made) < most:
            made.append(make())
            return made[-1]
        return self.rng.choice(made)

    def wood(self) -> Material:
        return self._one_of("wood", 8, self._any_wood)

    def _any_wood(self) -> Material:
        rng = self.rng
        color = colorsys.hsv_to_rgb(
            rng.uniform(0.04, 0.11), rng.uniform(0.2, 0.7), rng.uniform(0.12, 0.65)
        )
        return self.paint(color, 0.45)

    def white(self) -> Material:
        return self._one_of("white", 4, self._any_white)

    def _any_white(self) -> Material:
        v = self.rng.uniform(0.7, 0.9)
        return self.paint((v, v, v * self.rng.uniform(0.92, 1)), 0.4)

    def steel(self) -> Material:
        return self._one_of("steel", 4, self._any_steel)

    def _any_steel(self) -> Material:
        v = self.rng.uniform(0.3, 0.7)
        return self.paint((v, v, v), self.rng.uniform(0.2, 0.5), 0.9)

    def dark(self) -> Material:
        return self._one_of("dark", 4, self._any_dark)

    def _any_dark(self) -> Material:
        v = self.rng.uniform(0.02, 0.12)
        return self.paint((v, v, v), 0.5)

    def glass(self) -> Material:
        tint = self.rng.uniform(0.85, 1.0)
        return Material("glass", (tint, 1.0, self.rng.uniform(0.9, 1.0)), 0.0)

    def mirror(self) -> Material:
        return Material("mirror", (0.86, 0.88, 0.88), 0.01, 1.0)

    def lamp(self, color: Color, strength: float) -> Material:
        return Material("lamp", color, strength=strength)

    def screen(self) -> Material:
        """A display that is off, or shows something."""
        return self._one_of("screen", 10, self._any_screen)

    def _any_screen(self) -> Material:
        if self.rng.random() < 0.5:
            return self.paint((0.01, 0.01, 0.012), 0.12)
        texture = self.pool.get(self.rng.choice(self.pool.names("art")))
        self.used.add(texture.name)
        return Material("screen", texture=texture.name, strength=self.rng.uniform(0.5, 2.0))
