"""The container of a rosbag2 recording (sqlite3 or MCAP), without ROS: topics and raw messages.

Storage files are read with the library `rosbags`, one after another. metadata.yaml is not needed
and not read: a recording that was killed has none, and people edit its QoS by hand; compression
shows in the files themselves.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.folders import (
    PICTURE_SUFFIXES,
    RECORDING_SUFFIXES,
    natural_order,
    readable,
)
from mtpano_model.pictures.messages import PICTURE_TYPES
from mtpano_model.shots.storage import open_storage, unreadable, warn_once

_PACKED_SUFFIXES = (".zstd", ".zst")


def is_recording(path: Path) -> bool:
    """Whether a path is a bag: a folder with metadata.yaml, a folder of storage files without
    pictures, or a storage file, also a compressed one or one of ROS 1 (which `open_recording`
    refuses)."""
    try:
        if not path.is_dir():
            return path.suffix.lower() == ".bag" or _is_storage(path)
        names = [Path(name) for name in os.listdir(path)]
    except OSError:
        return False
    if Path("metadata.yaml") in names:
        return True
    suffixes = {name.suffix.lower() for name in names}
    return any(map(_is_storage, names)) and not suffixes.intersection(PICTURE_SUFFIXES)


def refuse_bag_options(place: object, topic: str | None, every: int) -> None:
    """MtpanoError if options of a bag are given for `place`, which is none."""
    if topic is not None or every != 1:
        raise MtpanoError(
            f"--topic and --every choose among a bag's pictures, and {place} is not a bag: leave "
            "them out"
        )


def recording_name(path: Path) -> str:
    """The name of the bag's folder, also for a file in it, so that both give the same names."""
    path = path.resolve()
    is_file_of_folder = path.is_file() and (path.parent / "metadata.yaml").is_file()
    return readable(path.parent.name if is_file_of_folder else path.name)


class Message(NamedTuple):
    """recorded: time of recording, nanoseconds. data: the serialized message, maybe compressed."""

    topic: str
    recorded: int
    data: bytes
    kind: str


class Recording:
    """An open recording. topics: type by name of each; counts: recorded messages by name."""

    def __init__(self, readers: list[Any]) -> None:
        every = [(reader, c) for reader in readers for c in reader.connections]
        showing = {c.topic for _, c in every if c.msgtype in PICTURE_TYPES}
        # A name may have been used for more than one type: then only pictures are of interest.
        taken = [one for one in every
                 if one[1].msgtype in PICTURE_TYPES or one[1].topic not in showing]  # fmt: skip
        self._connections = [(r, [c for of, c in taken if of is r]) for r in readers]
        self.topics: dict[str, str] = {c.topic: c.msgtype for _, c in taken}
        self.counts = dict.fromkeys(self.topics, 0)
        for _, connection in taken:
            # What a file says of itself may be any number.
            count = self.counts[connection.topic] + connection.msgcount
            self.counts[connection.topic] = min(count, sys.maxsize)

    def messages(self, *topics: str) -> Iterator[Message]:
        """The messages of some topics, as recorded.

        MtpanoError at the first damaged place of the recording.
        """
        for reader, every in self._connections:
            connections = [c for c in every if c.topic in topics]
            if not connections:
                continue
            messages = reader.messages(connections)
            while True:
                try:
                    item = next(messages, None)
                    if item is None:
                        break
                    connection, stamp, data = item
                    # A database holds values of any type in any column.
                    message = Message(connection.topic, int(stamp), bytes(data), connection.msgtype)
                except Exception as error:  # whatever sqlite3, lz4 and struct raise
                    raise unreadable(reader.path, error) from error
                yield message


@contextmanager
def open_recording(path: Path) -> Iterator[Recording]:
    """Open a bag's folder or storage file; MtpanoError, with a remedy, if it cannot be read.

    Of several files, damaged ones are left out with a warning, unless all are damaged.
    """
    files = _storage_files(path)
    with ExitStack() as stack:
        readers, problem = [], None
        for file in files:
            try:
                readers.append(open_storage(file, stack))
            except MtpanoError as error:
                if len(files) > 1:
                    warn_once(f"left out: {error}")
                problem = error
        if not readers:
            assert problem is not None
            raise problem
        yield Recording(readers)


def _is_storage(path: Path) -> bool:
    name = path.with_suffix("").name if path.suffix.lower() in _PACKED_SUFFIXES else path.name
    return name.lower().endswith(RECORDING_SUFFIXES) and not name.startswith(".")


def _storage_files(path: Path) -> list[Path]:
    try:
        if path.is_file():
            return [path]
        if path.exists() and not path.is_dir():
            raise MtpanoError(
                f"bag '{readable(path)}' is neither a file nor a folder: give a rosbag2 folder or "
                "its .mcap or .db3 file"
            )
        files = [file for file in path.iterdir() if _is_storage(file) and file.is_file()]
    except FileNotFoundError:
        raise MtpanoError(
            f"bag '{readable(path)}' does not exist: give a rosbag2 folder or its .mcap or .db3 "
            "file"
        ) from None
    except OSError as error:
        raise MtpanoError(f"bag '{readable(path)}' cannot be read: {error.strerror}") from error
    if not files:
        raise MtpanoError(
            f"bag '{readable(path)}' holds no recording: expected .mcap or .db3 files in it; copy "
            "it again"
        )
    # Where a file lies beside its compressed self, one of them is enough.
    whole = {file.name for file in files}
    files = [f for f in files if f.suffix not in _PACKED_SUFFIXES or f.stem not in whole]
    return sorted(files, key=natural_order)
