"""The pool of computed textures: names, sides of the split, and their files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mtpano_model.pictures.files import write_picture
from mtpano_model.whole_files import write_whole_text
from mtpano_model.worlds import ornaments, patterns
from mtpano_model.worlds.noise import Picture, Rng
from mtpano_model.worlds.split import Split, choose


def _either(*makers: patterns.Pattern) -> patterns.Pattern:
    def make(rng: Rng) -> tuple[Picture, float]:
        return makers[rng.integers(len(makers))](rng)

    return make


def _floor_tiles(rng: Rng) -> tuple[Picture, float]:
    return patterns.tiles(rng, tile=rng.uniform(0.3, 0.7))


# kind: (how many, how to make one)
KINDS: dict[str, tuple[int, Callable[[Rng], tuple[Picture, float]]]] = {
    "floor_wood": (
        24,
        _either(patterns.planks, patterns.planks, patterns.planks, patterns.parquet),
    ),
    "floor_tile": (24, _either(_floor_tiles, _floor_tiles, patterns.terrazzo)),
    "floor_soft": (20, patterns.carpet),
    "floor_concrete": (16, patterns.concrete),
    "floor_epoxy": (16, patterns.epoxy),
    "floor_sports": (12, patterns.sports_floor),
    "ground": (24, _either(patterns.asphalt, patterns.paving, patterns.paving, patterns.grass)),
    "wall_paint": (32, patterns.paint),
    "wall_paper": (20, _either(ornaments.stripes, ornaments.motif)),
    "wall_brick": (14, patterns.bricks),
    "wall_block": (12, patterns.concrete_blocks),
    "wall_wood": (12, patterns.wall_boards),
    "wall_tile": (18, patterns.wall_tiles),
    "wall_concrete": (10, patterns.concrete),
    "facade": (16, ornaments.facade),
    "rug": (32, _either(ornaments.persian, ornaments.persian, ornaments.plaid, patterns.carpet)),
    "cloth": (24, _either(ornaments.stripes, ornaments.motif, patterns.paint, ornaments.plaid)),
    "art": (72, ornaments.art),
}


@dataclass(frozen=True)
class Texture:
    """One computed texture; size: metres that it covers."""

    name: str
    kind: str
    size: float


class TexturePool:
    """The textures of one side of the split; each is computed when it is first asked for."""

    def __init__(self, folder: Path, split: Split):
        self.folder = folder
        self._names = {
            kind: choose([f"{kind}_{i:02d}" for i in range(count)], split)
            for kind, (count, _) in KINDS.items()
        }
        self._known: dict[str, Texture] = {}

    def names(self, kind: str) -> list[str]:
        """Names of a kind on this side."""
        return self._names[kind]

    def get(self, name: str) -> Texture:
        """The texture, with FOLDER/NAME.png made if need be; OSError if that fails.

        FOLDER/NAME.txt keeps its size, so that it is computed once.
        """
        if name not in self._known:
            kind = name.rsplit("_", 1)[0]
            note = self.folder / f"{name}.txt"
            if not note.exists():
                self._make(name, kind, note)
            self._known[name] = Texture(name, kind, float(note.read_text(encoding="ascii")))
        return self._known[name]

    def _make(self, name: str, kind: str, note: Path) -> None:
        digest = hashlib.sha1(f"split1:{name}".encode()).digest()
        picture, size = KINDS[kind][1](np.random.default_rng(int.from_bytes(digest[:8], "big")))
        self.folder.mkdir(parents=True, exist_ok=True)
        pixels = np.asarray(np.clip(picture, 0, 1) * 255 + 0.5, np.uint8)
        write_picture(self.folder / f"{name}.png", pixels)
        write_whole_text(note, [repr(float(size))])  # last: what has a note is there
