"""Where PanoInfinigen's views lie: LMDB shards of its makers' training, or the hub's parquet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mtpano_model.data.panorama_files import read_array
from mtpano_model.data.parquet_rows import ParquetRows, cell_bytes
from mtpano_model.errors import MtpanoError, needed_module
from mtpano_model.pictures.decode import decode_picture, decode_stored
from mtpano_model.stored_files import open_regular

LAYOUT = (
    "data/{indoor,nature,urban}/{train,val,test}-*.parquet, or "
    "{indoor,outdoor}/{train,val,test}/shard_NNNNN.lmdb"
)
# Metres at which the renderer stops: what is there or beyond is sky, or unknown.
_FARTHEST = {"indoor": 75.0, "nature": 75.0, "urban": 500.0}
_FARTHEST_OF_SHARDS = 500.0
_COLUMNS = ("image", "depth", "normals")
Numbers = NDArray[np.float32]


class View(NamedTuple):
    """image: uint8 [H, W, 3]. depth: [H, W] metres along the ray. normals: [H, W, 3] as stored.

    farthest: metres, from which on a depth says nothing.
    """

    image: NDArray[np.uint8]
    depth: Numbers
    normals: Numbers
    farthest: float


class Views(Protocol):
    """names: of the views. skipped: views that lack something. read: ValueError or MtpanoError
    where one is damaged."""

    names: list[str]
    skipped: int

    def read(self, index: int) -> View: ...


def find_views(root: Path, split: str) -> Views:
    """The views of a split ("all": of all) in whichever form they are; none is one without names.

    MtpanoError where a file is damaged, or a library is missing.
    """
    pattern = "*" if split == "all" else split
    if tables := sorted(root.glob(f"**/{pattern}-*.parquet")):
        return _Tables(root, tables)
    return _Shards(sorted(root.glob(f"*/{pattern}/shard_*.lmdb")))


class _Tables:
    """Parquet files below a folder with the name of the part, `indoor`, `nature` or `urban`.

    Depth and normals: .npy files in cells, or pictures: uint16 as shares of the farthest depth, and
    components of normals from -1 to 1 in 8 bits. The rows have no names: file and number are one.
    """

    def __init__(self, root: Path, paths: Sequence[Path]):
        for path in paths:
            if path.parent.name not in _FARTHEST:
                raise MtpanoError(
                    f"{path} is in a folder '{path.parent.name}': expected one of "
                    f"{', '.join(_FARTHEST)}, which says how far its depth goes"
                )
        self._rows, self.skipped = ParquetRows(paths, _COLUMNS, "PanoInfinigen"), 0
        self.names, last, number = [], None, 0
        for index in range(len(self._rows)):
            path = self._rows.file(index)
            number = number + 1 if path == last else 0
            last = path
            self.names.append(f"{path.parent.name}/{path.stem}/{number:04d}")

    def read(self, index: int) -> View:
        row, name = self._rows[index], self.names[index]
        farthest = _FARTHEST[self._rows.file(index).parent.name]
        image = decode_picture(cell_bytes(row["image"])).rgb
        depth = _numbers(row["depth"], 2, f"depth of '{name}'", farthest / 65535, 0)
        normals = _numbers(row["normals"], 3, f"normals of '{name}'", 1 / 127.5, -1)
        return View(image, depth, normals, farthest)


def _numbers(cell: Any, dimensions: int, what: str, scale: float, offset: float) -> Numbers:
    """A cell's array; scale and offset: of one that is stored as a picture."""
    data = cell_bytes(cell)
    if not isinstance(cell, dict):
        return read_array(data, dimensions, None, what)
    stored = decode_stored(data)
    if stored.ndim != dimensions:
        raise ValueError(f"{what}: a picture of shape {stored.shape}")
    if dimensions == 3:
        stored = stored[..., 2::-1]  # OpenCV's BGR
    return stored.astype(np.float32) * np.float32(scale) + np.float32(offset)


class _Shards:
    """Keys `SCENE/VIEW#{rgb,depth,normal}`; depth and normals are .npy files.

    The shards' own list, index.npy, is a pickle and is not read. Needs the library lmdb.
    """

    def __init__(self, paths: Sequence[Path]):
        self._views: list[tuple[Path, str]] = []
        self.skipped = 0
        for shard in paths:
            with _open(shard).begin() as transaction:
                keys = [key.decode() for key in transaction.cursor().iternext(values=False)]
            whole = [key[: -len("#rgb")] for key in keys if key.endswith("#rgb")]
            complete = [v for v in whole if {f"{v}#depth", f"{v}#normal"} <= set(keys)]
            self.skipped += len(whole) - len(complete)
            self._views += [(shard, view) for view in complete]
        self.names = [f"{s.parent.parent.name}/{s.stem}/{view}" for s, view in self._views]

    def read(self, index: int) -> View:
        shard, view = self._views[index]
        with _open(shard).begin() as transaction:
            rgb, depth, normals = (
                bytes(transaction.get(f"{view}#{kind}".encode()))
                for kind in ("rgb", "depth", "normal")
            )
        name = self.names[index]
        return View(
            decode_picture(rgb).rgb,
            read_array(depth, 2, None, f"depth of '{name}'"),
            read_array(normals, 3, None, f"normals of '{name}'"),
            _FARTHEST_OF_SHARDS,
        )


def _open(shard: Path) -> Any:
    return _opened(os.getpid(), shard.resolve())


@cache  # a process may open a shard but once, and a forked one has to open its own
def _opened(process: int, shard: Path) -> Any:
    lmdb = needed_module("lmdb", str(shard))
    try:
        with open_regular(shard / "data.mdb") as file:  # at a pipe, lmdb would wait for ever
            length = os.fstat(file.fileno()).st_size
        opened = lmdb.open(str(shard), readonly=True, lock=False)
        wanted = (opened.info()["last_pgno"] + 1) * opened.stat()["psize"]
    except (OSError, lmdb.Error) as error:
        raise MtpanoError(f"{shard} cannot be read ({error}): copy it again") from error
    if length < wanted:  # reading on would end the process with SIGBUS, for the file is mapped
        raise MtpanoError(f"{shard} is cut off ({length} of {wanted} bytes): copy it again")
    return opened
