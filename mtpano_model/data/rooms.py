"""The rendered rooms: `index.jsonl` beside NAME.jpg, NAME_depth.png, NAME_normal.png, ..."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mtpano_model.data import panorama_files as files
from mtpano_model.data.sample import Sample
from mtpano_model.errors import MtpanoError

Split = Literal["train", "val", "all"]


@dataclass
class _Encoded:
    """One frame as stored in the files: a sixth of the memory of a decoded sample."""

    image: NDArray[np.uint8]  # [H, W, 3] RGB
    depth: NDArray[np.uint16]  # [H, W] millimetres
    normals: NDArray[np.uint8]  # [H, W, 3]
    semseg: NDArray[np.uint8]  # [H, W] ids of the class set


class RoomsDataset:
    """Frames of a rooms folder, in the order of its index.

    split: "val" are the frames of one room in ten, chosen by `is_validation_room`; "train" the
        others; "all" every frame of the index.
    size: (H, W) to bring them to (`resize_rgb`, `resize_label`); None keeps the files' size.
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
            frame.depth / np.float32(1000),
            files.decode_normals(frame.normals, np.eye(3)),
            frame.semseg.copy(),
        )

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
        image = files.read_rgb(stem.with_name(f"{stem.name}.jpg"), None)
        depth = files.read_label(stem.with_name(f"{stem.name}_depth.png"), None, 1)
        normals = files.read_label(stem.with_name(f"{stem.name}_normal.png"), None, 3)
        path = stem.with_name(f"{stem.name}_semantic.png")
        semseg = self._classes(files.read_label(path, None, 1).astype(np.int32) - 1, path)
        shapes = {a.shape[:2] for a in (image, depth, normals, semseg)}
        if len(shapes) != 1:
            raise MtpanoError(
                f"frame {stem} has pictures of different sizes {sorted(shapes)}: expected one size"
            )
        labels = (files.resize_label(a, self.size) for a in (depth, normals, semseg))
        return _Encoded(files.resize_rgb(image, self.size), *map(np.ascontiguousarray, labels))


def is_validation_room(room: int | str) -> bool:
    """Whether a room is held out: the first four bytes of SHA-1 of "room:ID", modulo 10, are 0.

    A room's side depends on its id alone, so it stays when rooms are added.
    """
    return int.from_bytes(_digest(room)[:4], "big") % 10 == 0


def _place_of_room(room: int | str) -> float:
    """Where a room stands among all rooms, 0 <= place < 1; independent of its side."""
    return int.from_bytes(_digest(room)[4:8], "big") / 2**32


def _digest(room: int | str) -> bytes:
    return hashlib.sha1(f"room:{room}".encode()).digest()


def _in_split(entry: dict[str, Any], split: Split) -> bool:
    return split == "all" or is_validation_room(entry["room"]) == (split == "val")


def _read_index(root: Path) -> list[dict[str, Any]]:
    path = root / "index.jsonl"
    if not path.is_file():
        raise MtpanoError(f"{path} does not exist: give the folder of a rooms set")
    entries = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
            entry["name"], entry["room"]
        except (ValueError, KeyError, TypeError) as error:
            raise MtpanoError(
                f"{path} line {number} is not a frame ({error}): expected a JSON object with "
                "'name' and 'room'; delete the line if it was cut off"
            ) from error
        entries.append(entry)
    return entries
