"""Writes a store: appends a panorama, waits for the disk, adds it to the index; see `store`."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from mtpano_model.data.store import (
    BLOCK,
    FORMAT,
    Place,
    StoreNames,
    index_lines,
    padded,
    read_index,
    read_meta,
    shard_path,
)
from mtpano_model.errors import MtpanoError
from mtpano_model.whole_files import write_json

log = logging.getLogger(__name__)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class StoreIsBusy(MtpanoError):
    """Another process writes to the store under the same number."""


class StoreWriter:
    """Appends panoramas to a store, going on where an earlier writer stopped or was killed.

    root: the store's folder, made if it is missing.
    meta: its description (class_set, size, labels: how labels are made). A store that holds
        panoramas of another description is refused.
    worker: number of this writer; several may write one store at a time under different numbers.
    shard_bytes: a shard that is longer than this is finished and the next one begun.
    names: of the store's panoramas, where the caller keeps them over many writers.

    StoreIsBusy where another process writes under this number; MtpanoError where the disk refuses
    or is full (what was added before is safe, and the next writer goes on from there).
    """

    def __init__(
        self,
        root: str | Path,
        meta: Mapping[str, Any],
        worker: int = 0,
        shard_bytes: int = 512 << 20,
        names: StoreNames | None = None,
    ):
        self.root, self.worker, self.shard_bytes = Path(root), worker, shard_bytes
        self._meta = json.loads(json.dumps({"format": FORMAT, **meta}))  # as it will read back
        with self._disk_errors_are_told():
            self.root.mkdir(parents=True, exist_ok=True)
            self._lock = self._take_lock()
            self._describe()
        self._tar: IO[bytes] | None = None
        self._index: IO[bytes] | None = None
        self._end = 0
        self._count = 0
        with self._disk_errors_are_told():
            self._resume()
        # Not `names or`: one that holds nothing yet is false, and has to be filled.
        self.names = (StoreNames(self.root) if names is None else names).refresh()

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def add(self, name: str, members: Mapping[str, bytes]) -> None:
        """Append one panorama (kind -> bytes); when this returns, it is safe on the disk."""
        if name in self.names:
            raise ValueError(f"'{name}' is in the store already")
        if self._end > self.shard_bytes:
            self.finish_shard()
        with self._disk_errors_are_told():
            if self._tar is None:
                self._describe()  # again: another writer may have been the first to add something
                self._open_shard(self._next_shard())
            place = Place(name, self._end, {kind: len(data) for kind, data in members.items()})
            blocks = _tar_blocks(f"{self._count:06d}", members)
            line = json.dumps({"name": name, "offset": place.offset, "sizes": place.sizes})
            self._append(blocks, line.encode() + b"\n")
        self.names.add(name)
        self._end, self._count = place.end, self._count + 1

    def held(self) -> int:
        """Panoramas in the store by now, those of other writers included."""
        return sum(len(index_lines(index)) for index in self._indices())

    def added(self) -> int:
        """Panoramas that this writer, and earlier ones of its number, added."""
        return sum(map(len, map(index_lines, self.root.glob(f"shard-{self.worker}-*.jsonl"))))

    def finish_shard(self) -> None:
        """Close the growing shard under its final name; the next panorama begins a new one."""
        if self._tar is None or self._index is None:
            return
        with self._disk_errors_are_told():
            self._tar.seek(self._end)
            _write_through(self._tar, bytes(2 * BLOCK))  # tar's end mark
            path = Path(self._tar.name)
            self._close_files()
            path.rename(path.with_suffix(""))

    def close(self) -> None:
        """Finish the shard and let go of the store."""
        try:
            self.finish_shard()
        finally:
            self._close_files()
            self._lock.close()

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- inner workings --------------------------------------------------------------------------

    def _append(self, blocks: bytes, line: bytes) -> None:
        assert self._tar is not None
        assert self._index is not None
        index_end = self._index.tell()
        try:
            self._tar.seek(self._end)
            _write_through(self._tar, blocks)
            _write_through(self._index, line)
        except OSError:
            # Unbuffered files: nothing is left that a later flush could still write.
            self._index.truncate(index_end)
            self._index.seek(index_end)
            self._tar.truncate(self._end)
            raise

    def _resume(self) -> None:
        """Go on with the shard that a writer of this number left unfinished."""
        parts = sorted(self.root.glob(f"shard-{self.worker}-*.tar.part"))
        if parts:
            self._open_shard(parts[0].with_suffix("").with_suffix(".jsonl"))

    def _next_shard(self) -> Path:
        taken = self.root.glob(f"shard-{self.worker}-*.jsonl")
        numbers = [path.stem.rsplit("-", 1)[1] for path in taken]
        number = max((int(n) + 1 for n in numbers if n.isdecimal()), default=0)
        return self.root / f"shard-{self.worker}-{number:06d}.jsonl"

    def _open_shard(self, index: Path) -> None:
        """Open a shard's files, cut to the last panorama that is complete in both."""
        self._index = index.open("r+b" if index.exists() else "w+b", buffering=0)
        path = shard_path(index)
        self._tar = path.open("r+b" if path.exists() else "w+b", buffering=0)
        length = path.stat().st_size
        places = [p for p in read_index(index) if p.end <= length]
        self._end = places[-1].end if places else 0
        self._count = len(places)
        self._tar.truncate(self._end)
        lines = index_lines(index)[: len(places)]
        self._index.truncate(sum(len(line) + 1 for line in lines))
        self._index.seek(0, os.SEEK_END)

    def _describe(self) -> None:
        """Write store.json; MtpanoError where it says something else of panoramas that are there.

        Until there are some, the latest attempt is right.
        """
        path = self.root / "store.json"
        if not path.exists() or not any(map(read_index, self._indices())):
            write_json(path, self._meta)
            return
        stored, meta = _settings(read_meta(self.root)), _settings(self._meta)
        for key in sorted({*meta, *stored}):
            if meta.get(key) != stored.get(key):
                raise MtpanoError(
                    f"store '{self.root}' was made with {key} {stored.get(key)}, now it is "
                    f"{meta.get(key)}: use the same settings or another --out"
                )

    def _indices(self) -> Iterator[Path]:
        return self.root.glob("shard-*.jsonl")

    def _take_lock(self) -> IO[bytes]:
        lock = (self.root / f".writer-{self.worker}.lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise StoreIsBusy(
                f"another process writes to '{self.root}' as worker {self.worker}: wait for it, or "
                "give this one another --worker"
            ) from None
        return lock

    def _close_files(self) -> None:
        for file in (self._tar, self._index):
            if file is not None:
                file.close()
        self._tar = self._index = None

    @contextmanager
    def _disk_errors_are_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise MtpanoError(
                    f"cannot write to the store '{self.root}' ({error.strerror}): check the path "
                    "and its permissions"
                ) from error
            raise MtpanoError(
                f"the disk under '{self.root}' is full ({error.strerror}): the "
                f"{len(getattr(self, 'names', ()))} panoramas in the store are safe; free some "
                "space and run the same command again to go on"
            ) from error


def _settings(meta: dict[str, Any]) -> dict[str, Any]:
    """A description with its `labels` one by one, `labels.seed` and so on."""
    labels = {f"labels.{key}": value for key, value in meta.get("labels", {}).items()}
    return {**{key: value for key, value in meta.items() if key != "labels"}, **labels}


def _tar_blocks(key: str, members: Mapping[str, bytes]) -> bytes:
    """Header, bytes and padding of every member `key.kind.suffix`."""
    blocks = []
    for kind, data in members.items():
        info = tarfile.TarInfo(f"{key}.{_file_suffix(kind)}")
        info.size = len(data)
        blocks += [info.tobuf(tarfile.USTAR_FORMAT), data, bytes(padded(len(data)) - len(data))]
    return b"".join(blocks)


def _file_suffix(kind: str) -> str:
    return kind if kind in ("jpg", "json") else f"{kind}.png"


def _write_through(file: IO[bytes], data: bytes) -> None:
    """Write all of it, to the disk itself; an unbuffered file may take less than it is given."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())
