"""Rows of parquet files, in which the Hugging Face hub publishes data sets, one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from mtpano_model.errors import MtpanoError, needed_module
from mtpano_model.stored_files import open_regular


class ParquetRows:
    """The rows of some files, in order, each read alone: a group of rows may hold gigabytes.

    columns: those that every file must have. what: the data set, for the messages. Rows that follow
    one another cost a read each; one further back begins its group again. MtpanoError where a file
    cannot be read or lacks a column. Needs pyarrow.
    """

    def __init__(self, paths: Sequence[Path], columns: Sequence[str], what: str):
        self._columns = list(columns)
        self._places: list[tuple[Path, int, int]] = []  # file, group, row in it
        self._ahead: tuple[tuple[int, Path, int], int, Iterator[Any]] | None = None
        for path in paths:
            file = _open(path)
            missing = [name for name in columns if name not in file.schema_arrow.names]
            if missing:
                raise MtpanoError(f"{path} has no column '{missing[0]}': expected those of {what}")
            for group in range(file.num_row_groups):
                rows = file.metadata.row_group(group).num_rows
                self._places += [(path, group, row) for row in range(rows)]

    def __len__(self) -> int:
        return len(self._places)

    def file(self, index: int) -> Path:
        """The file that a row is in."""
        return self._places[index][0]

    def column(self, name: str) -> list[Any]:
        """One column of all rows; for what is small."""
        paths = dict.fromkeys(path for path, _, _ in self._places)
        return [value for path in paths for value in _column(path, name)]

    def __getitem__(self, index: int) -> dict[str, Any]:
        path, group, row = self._places[index]
        key = (os.getpid(), path, group)
        if self._ahead is None or self._ahead[0] != key or self._ahead[1] > row:
            batches = _open(path).iter_batches(1, row_groups=[group], columns=self._columns)
            self._ahead = key, 0, batches
        _, at, batches = self._ahead
        self._ahead = None  # should reading fail, the next one begins anew
        try:
            found = next(islice(batches, row - at, None)).to_pylist()[0]
        except (OSError, ValueError, NotImplementedError, StopIteration) as error:
            raise MtpanoError(f"{path} cannot be read ({error}): copy it again") from error
        self._ahead = key, row + 1, batches
        return found


def cell_bytes(cell: Any) -> bytes:
    """The bytes of a picture's cell, or of a plain one; ValueError where it holds none."""
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(data, bytes) or not data:
        raise ValueError("a cell is empty")
    return data


def _column(path: Path, name: str) -> list[Any]:
    try:
        return _open(path).read(columns=[name]).column(name).to_pylist()
    except (OSError, ValueError, NotImplementedError) as error:
        raise MtpanoError(f"{path} cannot be read ({error}): copy it again") from error


def _open(path: Path) -> Any:
    return _opened(os.getpid(), path)


@cache  # a forked process opens its own
def _opened(process: int, path: Path) -> Any:
    parquet = needed_module("pyarrow.parquet", str(path))
    try:
        open_regular(path).close()  # at a pipe, pyarrow would wait for ever
        return parquet.ParquetFile(path, memory_map=False)
    except (OSError, ValueError) as error:
        raise MtpanoError(f"{path} cannot be read ({error}): copy it again") from error
