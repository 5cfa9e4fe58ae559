"""Label sets: ids, names, colours and how they map onto the default's own set.

One CSV a set in `class_sets/` (columns id, name, color, open, indoor18); training, metrics, masks,
legends and LabelInfo all read it from here. Ids are 0-based and dense; IGNORE marks unlabelled.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError

IGNORE = 255
DEFAULT_SET = "indoor18"
_FOLDER = Path(__file__).parent / "class_sets"


@dataclass(frozen=True)
class ClassSet:
    """A named list of classes; position is id.

    names: one a class. palette: RGB, 0..255. open: True where there is no surface to measure (sky).
    indoor18: the class of the default set that each one becomes, None where it has none.
    """

    name: str
    names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    open: tuple[bool, ...]
    indoor18: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def palette_array(self) -> NDArray[np.uint8]:
        """RGB by id, shape [N, 3]."""
        return np.array(self.palette, np.uint8)

    def lookup_to_default(self) -> NDArray[np.uint8]:
        """Table [256]: id of this set -> id of indoor18, IGNORE where there is none.

        `table[labels]` converts a whole uint8 label map.
        """
        target = load_class_set(DEFAULT_SET)
        table = np.full(256, IGNORE, np.uint8)
        for i, name in enumerate(self.indoor18):
            if name is not None:
                table[i] = target.names.index(name)
        return table


def available_class_sets() -> list[str]:
    """Names that `load_class_set` accepts."""
    return sorted(path.stem for path in _FOLDER.glob("*.csv"))


@cache
def load_class_set(name: str) -> ClassSet:
    """Read a label set by name; MtpanoError lists the known ones."""
    path = _FOLDER / f"{name}.csv"
    if not path.is_file():
        known = ", ".join(available_class_sets())
        raise MtpanoError(f"unknown class set '{name}': expected one of {known}")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if [int(row["id"]) for row in rows] != list(range(len(rows))):
        raise ValueError(f"{path.name}: ids must count up from 0 without a gap")
    return ClassSet(
        name=name,
        names=tuple(row["name"] for row in rows),
        palette=tuple(rgb_of(row["color"]) for row in rows),
        open=tuple(row["open"] == "1" for row in rows),
        indoor18=tuple(row["indoor18"] or None for row in rows),
    )


def class_lookup(own: str, wanted: str) -> NDArray[np.uint8]:
    """Table [256]: id of one class set -> id of another, IGNORE where there is none.

    MtpanoError unless they are the same or the wanted one is the default set.
    """
    if own == wanted:
        return np.arange(256, dtype=np.uint8)
    if wanted == DEFAULT_SET:
        return load_class_set(own).lookup_to_default()
    raise MtpanoError(
        f"labels of class set '{own}' cannot be turned into '{wanted}': use "
        f"{' or '.join(dict.fromkeys((own, DEFAULT_SET)))}"
    )


def rgb_of(color: str) -> tuple[int, int, int]:
    """0..255 of "#rrggbb"; ValueError where that is no hexadecimal number."""
    value = int(color.removeprefix("#"), 16)
    return value >> 16 & 255, value >> 8 & 255, value & 255
