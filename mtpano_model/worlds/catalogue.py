"""The catalogue of furniture models: their roles, classes and sizes."""

from __future__ import annotations

import csv
import logging
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import load_class_set
from mtpano_model.errors import MtpanoError
from mtpano_model.worlds.shapes import Shape, block_shape, read_shape
from mtpano_model.worlds.split import Split, choose

log = logging.getLogger(__name__)
TABLE = Path(__file__).with_name("models.csv")
OWN_TABLE = "models.csv"
_CATALOGUE = "PluginFurnitureCatalog.properties"


@dataclass(frozen=True)
class Model:
    """One model: its file, its front along -y, its size (width, depth, height) in metres.

    elevation: how high above the floor it usually hangs; label: NYU40 id as in the truth.
    """

    key: str
    role: str
    label: int
    size: tuple[float, float, float]
    path: Path | None = None
    name: str = ""
    creator: str = ""
    licence: str = ""
    elevation: float = 0.0
    rotation: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1)

    def shape(self) -> Shape:
        """Its upper side (a plain block where the file is no OBJ)."""
        return _shape(self.path, self.rotation, self.size)

    def matrix(self) -> NDArray[np.float64]:
        """The catalogue's rotation, in the file's own axes."""
        return np.array(self.rotation, np.float64).reshape(3, 3)


@dataclass
class Catalogue:
    """Models by role, of one side of the split."""

    roles: dict[str, list[Model]] = field(default_factory=dict)

    def of(
        self, role: str, widest: float = 99.0, deepest: float = 99.0, highest: float = 99.0
    ) -> list[Model]:
        """A role's models that fit into the given size."""
        largest = (widest, deepest, highest)
        return [
            m
            for m in self.roles.get(role, ())
            if all(s <= most for s, most in zip(m.size, largest, strict=True))
        ]

    def models(self) -> dict[str, Model]:
        """All of them by key."""
        return {model.key: model for models in self.roles.values() for model in models}


def open_catalogue(
    folder: Path, unpacked: Path, split: Split, people: Path | None = None
) -> Catalogue:
    """Models of a furniture folder: *.sh3f libraries, or files named by its own models.csv.

    unpacked: where libraries are unpacked to, once; people: another folder with a models.csv,
    which joins them and is split by itself. MtpanoError if no complete model is found.
    """
    if (folder / OWN_TABLE).is_file():
        found = _own_models(folder)
    else:
        libraries = sorted(folder.glob("*.sh3f")) if folder.is_dir() else []
        if not libraries:
            raise MtpanoError(
                f"{folder} holds no furniture: expected *.sh3f libraries (Debian's package "
                f"sweethome3d-furniture has them) or models with a table {OWN_TABLE}"
            )
        found = _library_models({file.stem: _unpack(file, unpacked) for file in libraries})
    roles: dict[str, list[Model]] = {}
    _add(roles, found, split)
    if not any(roles.values()):
        raise MtpanoError(
            f"no model of {folder} is complete, since files or textures are missing: copy or "
            "install it again"
        )
    if people is not None:
        _add(roles, _people(people), split)
    return Catalogue(roles)


def _add(
    roles: dict[str, list[Model]], found: dict[str, tuple[bool, list[Model]]], split: Split
) -> None:
    for role, (is_split, models) in found.items():
        keys = [m.key for m in models]
        mine = set(choose(keys, split) if is_split else keys)
        roles.setdefault(role, []).extend(m for m in models if m.key in mine)


def _people(folder: Path) -> dict[str, tuple[bool, list[Model]]]:
    """The people in a folder of `anny_people`; empty if it is missing or unfinished."""
    if (folder / OWN_TABLE).is_file():
        return _own_models(folder)
    log.info(
        "%s %s: only people of the furniture libraries are used; %s",
        folder,
        f"has no {OWN_TABLE}, so that it is not complete" if folder.is_dir() else "does not exist",
        "remove it, and `./run worlds` makes people with anny"
        if folder.is_dir()
        else "`./run worlds` makes more people with anny",
    )
    return {}


def _unpack(library: Path, unpacked: Path) -> Path:
    target = unpacked / library.stem
    if not target.is_dir():
        half_done = unpacked / f".{library.stem}"
        try:
            with zipfile.ZipFile(library) as archive:
                archive.extractall(half_done)
            half_done.replace(target)
        except (OSError, zipfile.BadZipFile) as error:
            raise MtpanoError(f"cannot unpack {library} to {unpacked}: {error}") from error
    return target


def _library_models(libraries: dict[str, Path]) -> dict[str, tuple[bool, list[Model]]]:
    records = {
        f"{name}#{number}": (path, record)
        for name, path in libraries.items()
        for number, record in _records(path / _CATALOGUE).items()
    }
    found: dict[str, tuple[bool, list[Model]]] = {}
    labels = nyu40_labels()
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            models = []
            for key in row["models"].split():
                if key in records:
                    model = _model(key, row["role"], labels[row["class"]], *records[key])
                    if model.path is not None and is_complete(model.path):
                        models.append(model)
            found[row["role"]] = (row["split"] == "yes", models)
    return found


def _records(path: Path) -> dict[int, dict[str, str]]:
    records: dict[int, dict[str, str]] = {}
    pattern = re.compile(r"^(\w+)#(\d+)=(.*)$", re.M)
    for match in pattern.finditer(path.read_text(encoding="latin1")):
        value = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), match[3].strip())
        records.setdefault(int(match[2]), {})[match[1]] = value
    return records


def _model(key: str, role: str, label: int, library: Path, record: dict[str, str]) -> Model:
    w, d, h, up = (float(record.get(k, 0)) / 100 for k in ("width", "depth", "height", "elevation"))
    rotation = tuple(float(v) for v in record.get("modelRotation", "1 0 0 0 1 0 0 0 1").split())
    path = Path(f"{library}{record['model']}")
    return Model(
        key,
        role,
        label,
        (w, d, h),
        path,
        record["name"],
        record.get("creator", ""),
        library.name,
        up,
        rotation,
    )


def _own_models(folder: Path) -> dict[str, tuple[bool, list[Model]]]:
    """Rows of role,class,file,width,depth,height,licence,creator; sizes in metres."""
    found: dict[str, tuple[bool, list[Model]]] = {}
    labels = nyu40_labels()
    path, missing = folder / OWN_TABLE, 0
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            try:
                size = (float(row["width"]), float(row["depth"]), float(row["height"]))
                model = Model(
                    f"{folder.name}#{row['file']}",
                    row["role"],
                    labels[row["class"]],
                    size,
                    folder / row["file"],
                    row["file"],
                    row["creator"],
                    row["licence"],
                )
            except (KeyError, TypeError, ValueError) as error:
                raise MtpanoError(
                    f"{path} line {number} is not a model ({error}): expected role, an NYU40 "
                    "class, file, width, depth, height in metres, licence, creator"
                ) from error
            if is_complete(folder / row["file"]):
                found.setdefault(row["role"], (True, []))[1].append(model)
            else:
                missing += 1
    if missing:
        log.warning(
            "%s: %d models are left out, since parts of their files are missing", path, missing
        )
    return found


@lru_cache(maxsize=4096)
def is_complete(path: Path) -> bool:
    """Whether a model's file is there with the materials and pictures that it names."""
    if not path.is_file():
        return False
    if path.suffix.lower() != ".obj":
        return True
    with path.open(encoding="latin1") as file:
        libraries = [line.split(None, 1)[1].strip() for line in file if line.startswith("mtllib")]
    return all(_material_is_complete(path.with_name(library)) for library in libraries)


def _material_is_complete(path: Path) -> bool:
    if not path.is_file():
        return False
    pictures = re.findall(r"(?mi)^\s*map_Kd\s+(.+?)\s*$", path.read_text(encoding="latin1"))
    return all(_exists(path.parent, picture) for picture in pictures)


def _exists(folder: Path, picture: str) -> bool:
    names = (picture, picture.split()[-1], picture.replace("\\", "/"))  # options may precede it
    return any((folder / name).is_file() for name in names)


@lru_cache(maxsize=1)
def nyu40_labels() -> dict[str, int]:
    """Class name -> id as stored in the truth (0 is unlabelled)."""
    return {name: index + 1 for index, name in enumerate(load_class_set("nyu40").names)}


@lru_cache(maxsize=2048)
def _shape(path: Path | None, rotation: Iterable[float], size: tuple[float, float, float]) -> Shape:
    if path is None or path.suffix.lower() != ".obj":
        return block_shape(size)
    return read_shape(path, np.array(rotation, np.float64).reshape(3, 3), size)
