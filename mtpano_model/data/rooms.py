"""Rendered rooms and worlds: `index.jsonl` beside NAME.jpg, NAME_depth.png, NAME_normal.png, ...

Worlds have two files more, which are read where they are there: NAME_far.png, depth beyond 65 m,
and NAME_mask.png, why a pixel has no truth (`mtpano_model.pictures.truth_files`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import IGNORE
from mtpano_model.data import panorama_files as files
from mtpano_model.data.sample import Sample
from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.normals import GREY, decode_normals
from mtpano_model.pictures.resize import resize_image, resize_nearest
from mtpano_model.pictures.truth_files import MEASURED, OPEN, joined_depth
from mtpano_model.stored_files import parse_json

Split = Literal["train", "val", "all"]


@dataclass
class _Encoded:
    """One frame as stored in the files: a sixth of the memory of a decoded sample."""

    image: NDArray[np.uint8]  # [H, W, 3] RGB
    depth: NDArray[np.uint16]  # [H, W] millimetres
    normals: NDArray[np.uint8]  # [H, W, 3]
    semseg: NDArray[np.uint8]  # [H, W] ids of the class set
    far: NDArray[np.uint16] | None  # [H, W] what is beyond the millimetres, in the views that go so


class RoomsDataset:
    """Frames of a rooms folder, in the order of its index.

    split: "val" are the frames of one room in ten, chosen by `is_validation_room`; "train" the
        others; "all" every frame of the index.
    size: (H, W) to bring them to (`resize_image`, `resize_nearest`); None keeps the files' size.
    class_set: "indoor18" (through the class table) or "nyu40".
    cache: keep the encoded frames in memory after they were first read (1.2 MB a frame at
        256x512, 0.3 MB at 128x256).
    share: of the split's rooms, chosen by their ids alone; a smaller share is part of a larger one.
    """

    def __init__(
        self,
        root: str | Path,
        split: Split = "all",
        size: tuple[int, int] | None = None,
        class_set: str = "indoor18",
        cache: bool = False,
        share: float = 1.0,
    ):
        self.root = Path(root)
        self.size = size
        self.class_set = class_set
        self.index = [
            entry
            for entry in _read_index(self.root)
            if _in_split(entry, split) and _place_of_room(entry["room"]) < share
        ]
        self.names = [entry["name"] for entry in self.index]
        if not self.names:
            part = "" if share >= 1 else f" in the share {share:g} of its rooms"
            raise MtpanoError(
                f"{self.root} has no frame of split '{split}'{part}: check its index.jsonl"
            )
        self._classes = files.ClassConverter("nyu40", class_set)
        self._cache: dict[int, _Encoded] | None = {} if cache else None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        frame = self._frame(index)
        return files.make_sample(
            self.names[index],
            frame.image,
            joined_depth(frame.depth, frame.far),
            decode_normals(frame.normals, np.eye(3)),
            frame.semseg.copy(),
        )

    def facts(self, index: int) -> dict[str, Any]:
        """A frame's line of the index."""
        return self.index[index]

    def preload(self) -> None:
        """Read every frame into the cache, so that forked loader workers share one copy."""
        for index in range(len(self)):
            self._frame(index)

    def _frame(self, index: int) -> _Encoded:
        if self._cache is None:
            return self._read(index)
        if index not in self._cache:
            self._cache[index] = self._read(index)
        return self._cache[index]

    def _read(self, index: int) -> _Encoded:
        stem = self.root / self.names[index]

        def label(kind: str, channels: int = 1) -> NDArray[Any]:
            path = stem.with_name(f"{stem.name}_{kind}.png")
            return np.ascontiguousarray(files.read_label(path, None, channels))

        def label_if_there(kind: str) -> list[NDArray[Any]]:
            return [label(kind)] if stem.with_name(f"{stem.name}_{kind}.png").exists() else []

        image = files.read_rgb(stem.with_name(f"{stem.name}.jpg"), None)
        depth, normals, ids = label("depth"), label("normal", 3), label("semantic")
        semseg = self._classes(
            ids.astype(np.int32) - 1, stem.with_name(f"{stem.name}_semantic.png")
        )
        masks, fars = label_if_there("mask"), label_if_there("far")
        arrays = [image, depth, normals, semseg, *masks, *fars]
        shapes = {a.shape[:2] for a in arrays}
        if len(shapes) != 1:
            raise MtpanoError(
                f"frame {stem} has pictures of different sizes {sorted(shapes)}: expected one size"
            )
        for mask in masks:
            unmeasured = mask != MEASURED
            for array in (depth, *fars):
                array[unmeasured] = 0
            normals[unmeasured] = GREY
            semseg[unmeasured & (mask != OPEN)] = IGNORE  # through a window, "window" is right
        if self.size is not None:
            image = resize_image(image, self.size)
            depth, normals, semseg = (
                resize_nearest(a, self.size) for a in (depth, normals, semseg)
            )
            fars = [resize_nearest(a, self.size) for a in fars]
        return _Encoded(image, depth, normals, semseg, fars[0] if fars else None)


def is_validation_room(room: int | str) -> bool:
    """Whether a room is held out: the first four bytes of SHA-1 of "room:ID", modulo 10, are 0.

    A room's side depends on its id alone, so it stays when rooms are added.
    """
    return int.from_bytes(_digest(room)[:4], "big") % 10 == 0


def _place_of_room(room: int | str) -> float:
    """Where a room stands among all rooms, 0 <= place < 1; independent of its side."""
    return int.from_bytes(_digest(room)[4:8], "big") / 2**32


def _digest(room: int | str) -> bytes:
    return hashlib.sha1(f"room:{room}".encode("utf-8", "surrogatepass")).digest()


def _in_split(entry: dict[str, Any], split: Split) -> bool:
    return split == "all" or is_validation_room(entry["room"]) == (split == "val")


def _read_index(root: Path) -> list[dict[str, Any]]:
    path = root / "index.jsonl"
    if not path.is_file():
        raise MtpanoError(f"{path} does not exist: give the folder of a rooms set")
    entries = []
    for number, line in enumerate(
        path.read_text(encoding="utf-8", errors="replace").splitlines(), 1
    ):
        try:
            entry = parse_json(line)
            entry["name"], entry["room"]
        except (ValueError, KeyError, TypeError) as error:
            raise MtpanoError(
                f"{path} line {number} is not a frame ({error}): expected a JSON object with "
                "'name' and 'room'; delete the line if it was cut off"
            ) from error
        entries.append(entry)
    return entries
