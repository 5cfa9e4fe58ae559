"""A sharded store of pseudo-labelled panoramas: few large files, safe against a kill at any byte.

    store.json                    what the store holds and how it was made
    shard-W-NNNNNN.tar            panoramas of writer W, one after another (readable by webdataset)
    shard-W-NNNNNN.tar.part       the shard being written, or left behind by a writer that died
    shard-W-NNNNNN.jsonl          the shard's index: one line a panorama

A panorama exists once its index line is complete. The line is written after the panorama's bytes
have reached the disk; whatever lies behind the last line is cut off when a writer goes on. The
index also makes any panorama, and any single picture of it, one read away.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mtpano_model.errors import MtpanoError
from mtpano_model.stored_files import open_regular, parse_json, read_json

log = logging.getLogger(__name__)

FORMAT = 1
MAX_HEIGHT = 2048  # rows of a canvas; its pixels fit the 23 bits of `labels.depth_scale`
BLOCK = 512  # tar's unit
_LARGEST_MEMBER = 1 << 30  # bytes; ours are below 4 MB


@dataclass(frozen=True)
class Place:
    """Where a panorama lies in its shard: offset of its first tar header, members and sizes."""

    name: str
    offset: int
    sizes: dict[str, int]

    @property
    def end(self) -> int:
        """Offset behind its last block."""
        return self.offset + sum(BLOCK + padded(size) for size in self.sizes.values())

    def member(self, kind: str) -> tuple[int, int]:
        """Offset and size of one member's bytes."""
        place = self.offset
        for other, size in self.sizes.items():
            if other == kind:
                return place + BLOCK, size
            place += BLOCK + padded(size)
        raise KeyError(kind)


def padded(size: int) -> int:
    """Bytes that tar gives to a member of `size` bytes."""
    return -(-size // BLOCK) * BLOCK


def read_meta(root: str | Path) -> dict[str, Any]:
    """The store's description; MtpanoError where there is none or it is of another format."""
    path = Path(root) / "store.json"
    try:
        meta = read_json(path, "copy the store again")
    except MtpanoError as error:
        if not isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
            raise
        raise MtpanoError(
            f"'{root}' is no label store (it has no store.json): make one with `mtpano label`"
        ) from error
    if meta.get("format") != FORMAT:
        raise MtpanoError(
            f"{path} has format {meta.get('format')}: this version reads {FORMAT}, "
            "make the store again or use the version that wrote it"
        )
    size, problem = meta.get("size"), None
    if not _is_size(size):
        problem = f"size {size}, expected [rows, columns] up to [{MAX_HEIGHT}, {2 * MAX_HEIGHT}]"
    elif not isinstance(meta.get("class_set"), str):
        problem = f"class_set {meta.get('class_set')}, expected a name"
    elif not isinstance(meta.get("labels", {}), dict):
        problem = f"labels {meta['labels']}, expected an object"
    if problem:
        raise MtpanoError(f"{path} is damaged ({problem}): copy the store again")
    return meta


def _is_size(size: Any) -> bool:
    if not isinstance(size, list) or [type(side) for side in size] != [int, int]:
        return False
    return 1 <= size[0] <= MAX_HEIGHT and 1 <= size[1] <= 2 * MAX_HEIGHT


def read_index(path: Path) -> list[Place]:
    """Panoramas of a shard's index, up to a line that is cut off or, with a warning, damaged."""
    places: list[Place] = []
    for line in index_lines(path):
        try:
            places.append(_place(parse_json(line)))
        except (ValueError, KeyError, TypeError):
            log.warning(
                "line %d of %s is damaged: it and what follows are skipped, copy it again",
                len(places) + 1, path,
            )  # fmt: skip
            break
    return places


def index_lines(path: Path) -> list[bytes]:
    """The complete lines of an index; none, with a warning, where it cannot be read."""
    try:
        with open_regular(path) as file:
            return file.read().split(b"\n")[:-1]
    except OSError as error:
        log.warning("%s cannot be read (%s): its shard is skipped", path, error.strerror)
        return []


def _place(entry: Any) -> Place:
    """ValueError, KeyError or TypeError where an index line holds something else."""
    place = Place(entry["name"], entry["offset"], entry["sizes"])
    numbers = [place.offset, *place.sizes.values()] if isinstance(place.sizes, dict) else [None]
    if not isinstance(place.name, str) or any(type(n) is not int or n < 0 for n in numbers):
        raise ValueError(f"no panorama's place: {entry}")
    if any(size > _LARGEST_MEMBER for size in place.sizes.values()):
        raise ValueError(f"a member of more than {_LARGEST_MEMBER} bytes: {entry}")
    return place


def shard_path(index: Path) -> Path:
    """The shard that belongs to an index: finished or still growing."""
    finished = index.with_suffix(".tar")
    return finished if finished.exists() else index.with_suffix(".tar.part")


def _open_shard(index: Path) -> BinaryIO:
    """The shard that belongs to an index, to read; OSError where there is none.

    A writer may finish it, which renames it, at any moment: what is neither growing nor finished
    by the first two looks is finished by the third.
    """
    finished = index.with_suffix(".tar")
    for path in (finished, index.with_suffix(".tar.part")):
        with contextlib.suppress(FileNotFoundError):
            return open_regular(path)
    return open_regular(finished)


class Store:
    """Reads a store; any number of processes may do so, also while it is being written.

    meta: the store's description. names: of its panoramas, in shard order. class_set, size (H, W).
    Only names, offsets and sizes are kept in memory, about 200 bytes a panorama.
    """

    def __init__(self, root: str | Path):
        self.root = Path(root)
        self.meta = read_meta(root)
        self.class_set: str = self.meta["class_set"]
        self.size: tuple[int, int] = tuple(self.meta["size"])  # type: ignore[assignment]
        self.names: list[str] = []
        self._paths: list[Path] = []
        self._kinds: dict[str, int] = {}
        shards, offsets, sizes = [], [], []
        for index in sorted(self.root.glob("shard-*.jsonl")):
            places = self._whole(index)
            self.names += [place.name for place in places]
            shards += [len(self._paths)] * len(places)
            offsets += [place.offset for place in places]
            sizes += [self._sizes_row(place) for place in places]
            self._paths.append(index)
        self._shard = np.array(shards, np.int32)
        self._offset = np.array(offsets, np.int64)
        self._sizes = np.full((len(sizes), len(self._kinds)), -1, np.int32)
        for row, filled in zip(self._sizes, sizes, strict=True):
            row[: len(filled)] = filled

    def __len__(self) -> int:
        return len(self.names)

    def kinds(self, index: int) -> list[str]:
        """Members that a panorama has."""
        return list(self._place(index).sizes)

    def read(self, index: int, kinds: Sequence[str] | None = None) -> dict[str, bytes]:
        """Bytes of a panorama's members; those of `kinds` that it has, all if None.

        MtpanoError names the shard where they cannot be read.
        """
        place = self._place(index)
        wanted = [k for k in place.sizes if kinds is None or k in kinds]
        shard = self._paths[self._shard[index]]
        try:
            with _open_shard(shard) as file:
                members = {k: _read_at(file.fileno(), *place.member(k)) for k in wanted}
        except OSError as error:
            raise MtpanoError(
                f"{shard.with_suffix('.tar')} cannot be read ({error.strerror}) at panorama "
                f"'{place.name}': copy the store again"
            ) from error
        return members

    def _place(self, index: int) -> Place:
        row = self._sizes[index].tolist()
        sizes = {kind: row[i] for kind, i in self._kinds.items() if row[i] >= 0}
        return Place(self.names[index], int(self._offset[index]), sizes)

    def _sizes_row(self, place: Place) -> list[int]:
        for kind in place.sizes:
            self._kinds.setdefault(kind, len(self._kinds))
        row = [-1] * len(self._kinds)
        for kind, size in place.sizes.items():
            row[self._kinds[kind]] = size
        return row

    @staticmethod
    def _whole(index: Path) -> list[Place]:
        """Panoramas whose bytes are all there; a shard that was copied in part says so."""
        places = read_index(index)
        try:
            with _open_shard(index) as shard:
                length = os.fstat(shard.fileno()).st_size
        except OSError:
            length = 0
        whole = [place for place in places if place.end <= length]
        if len(whole) < len(places):
            log.warning(
                "%s is cut off or missing: %d of its %d panoramas are skipped, copy it again",
                index.with_suffix(".tar"), len(places) - len(whole), len(places),
            )  # fmt: skip
        return whole


class StoreNames:
    """Names of the panoramas in a store, read again only where its indices have grown.

    What any number of writers add is in it after the next `refresh`.
    """

    def __init__(self, root: str | Path):
        self._root = Path(root)
        self._names: dict[Path, list[str]] = {}
        self._read: dict[Path, int] = {}  # bytes of each index that are read
        self._held: Counter[str] = Counter()  # names by writer

    def __len__(self) -> int:
        return sum(map(len, self._names.values()))

    def held_by(self, writer: int) -> int:
        """Panoramas that the writer of this number added."""
        return self._held[str(writer)]

    def refresh(self) -> set[str]:
        """All names by now."""
        for index in self._root.glob("shard-*.jsonl"):
            try:
                length = index.stat().st_size
            except OSError:
                length = -1  # reading it tells why
            if length == self._read.get(index):
                continue
            # One that shrank was cut by its writer, and may have grown since.
            names = [place.name for place in read_index(index)]
            self._held[index.name.split("-")[1]] += len(names) - len(self._names.get(index, ()))
            self._names[index], self._read[index] = names, length
        return {name for names in self._names.values() for name in names}


def _read_at(descriptor: int, offset: int, size: int) -> bytes:
    data = os.pread(descriptor, size, offset)
    if len(data) < size:
        raise OSError(0, f"only {len(data)} of {size} bytes are there")
    return data
