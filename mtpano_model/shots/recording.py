"""The container of a rosbag2 recording (sqlite3 or MCAP), without ROS: topics and raw messages.

Storage files are read with the library `rosbags`, one after another. metadata.yaml is not needed
and not read: a recording that was killed has none, and people edit its QoS by hand; compression
shows in the files themselves.
"""

from __future__ import annotations

import logging
import os
import re
import struct
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from errno import ENOSPC
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mtpano_model.errors import MtpanoError, needed_module
from mtpano_model.pictures.folders import (
    PICTURE_SUFFIXES,
    RECORDING_SUFFIXES,
    natural_order,
    readable,
)

log = logging.getLogger(__name__)

_PACKED_SUFFIXES = (".zstd", ".zst")
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ROS1_MAGIC = b"#ROSBAG V"
_MCAP_MAGIC = b"\x89MCAP0\r\n"
_SQLITE_MAGIC = b"SQLite format 3"


def is_recording(path: Path) -> bool:
    """Whether a path is meant as a bag: a folder with metadata.yaml, or one of storage files and no
    pictures, or a storage file, compressed or of ROS 1 (which `open_recording` refuses)."""
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


def recording_name(path: Path) -> str:
    """The bag's folder, for its file too, so that nothing in it gets two names."""
    path = path.resolve()
    is_file_of_folder = path.is_file() and (path.parent / "metadata.yaml").is_file()
    return readable(path.parent.name if is_file_of_folder else path.name)


class Message(NamedTuple):
    """recorded: time of recording in nanoseconds. data: serialized, of this type."""

    topic: str
    recorded: int
    data: bytes
    kind: str


class Recording:
    """An open recording. topics: type by name of each; counts: recorded messages by name."""

    def __init__(self, readers: list[Any]) -> None:
        self._readers = readers
        connections = [c for reader in readers for c in reader.connections]
        self.topics: dict[str, str] = {c.topic: c.msgtype for c in connections}
        self.counts = dict.fromkeys(self.topics, 0)
        for connection in connections:
            self.counts[connection.topic] += connection.msgcount

    def messages(self, *topics: str) -> Iterator[Message]:
        """The messages of some topics, as recorded.

        MtpanoError where the recording is damaged on the way.
        """
        for reader in self._readers:
            connections = [c for c in reader.connections if c.topic in topics]
            if not connections:
                continue
            messages = reader.messages(connections)
            while True:
                try:
                    item = next(messages, None)
                    if item is None:
                        break
                    connection, stamp, data = item
                    if data[:4] == _ZSTD_MAGIC:  # CDR begins with 0
                        data = _zstd().decompress(data)
                    # A database holds values of any type in any column.
                    message = Message(connection.topic, int(stamp), bytes(data), connection.msgtype)
                except Exception as error:  # whatever sqlite3, zstd, lz4 and struct raise
                    raise _unreadable(reader.path, error) from error
                yield message


@contextmanager
def open_recording(path: Path) -> Iterator[Recording]:
    """Open a bag's folder or storage file; MtpanoError says why it cannot be and what mends it.

    Of several files those that are damaged are left out with a warning, unless all are.
    """
    files = _storage_files(path)
    with ExitStack() as stack:
        readers, problem = [], None
        for file in files:
            try:
                readers.append(_open_file(file, stack))
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
            f"bag '{readable(path)}' holds no recording: expected .mcap or .db3 files in it, copy "
            "it again"
        )
    # Where a file lies beside its compressed self, one of them is enough.
    whole = {file.name for file in files}
    files = [f for f in files if f.suffix not in _PACKED_SUFFIXES or f.stem not in whole]
    return sorted(files, key=natural_order)


def _open_file(file: Path, stack: ExitStack) -> Any:
    rosbag2 = needed_module("rosbags.rosbag2", "reading a bag")
    try:
        with file.open("rb") as opened:
            start = opened.read(4096)
        if start.startswith(_ROS1_MAGIC):
            raise MtpanoError(
                f"'{readable(file)}' is a bag of ROS 1: convert it with `rosbags-convert --src "
                f"{readable(file.name)} --dst {readable(file.stem)}`"
            )
        named = _plainly_named(file, start, stack)
        reader = rosbag2.Reader(named)
        reader.open()
    except MtpanoError:
        raise
    except Exception as error:  # whatever sqlite3, zstd, lz4, struct and yaml raise
        raise _unreadable(file, error) from error
    stack.callback(reader.close)
    if journal := _journal(file):
        warn_once(f"bag '{readable(file)}' is read without its last messages: {journal}")
    return reader


def _plainly_named(file: Path, start: bytes, stack: ExitStack) -> Path:
    """The file, unpacked where it is compressed, under a name that rosbags can open.

    It puts the path unquoted into a URI, and goes by the ending, which need not be the right one.
    """
    try:
        if start.startswith(_ZSTD_MAGIC):
            unpacked = Path(stack.enter_context(_temporary_folder()), "unpacked")
            with _zstd().open(file, "rb") as packed, unpacked.open("wb") as whole:
                start = part = packed.read(1 << 20)
                while part:
                    whole.write(part)
                    part = packed.read(1 << 20)
            file = unpacked
        suffix = ".mcap" if start.startswith(_MCAP_MAGIC) else ".db3"
        if re.fullmatch(rf"[^#?%\udc80-\udcff]*\{suffix}", str(file.absolute())):
            return file
        plain = Path(stack.enter_context(_temporary_folder()), f"bag{suffix}")
        plain.symlink_to(file.absolute())
    except OSError as error:
        if error.errno == ENOSPC or isinstance(error, FileNotFoundError):
            raise MtpanoError(
                f"bag '{readable(file)}' needs room in {tempfile.gettempdir()} to be unpacked "
                f"({error.strerror}): make room, or name another folder in TMPDIR"
            ) from error
        raise
    return plain


@cache
def warn_once(text: str) -> None:
    """A command opens the same bag two or three times."""
    log.warning("%s", text)


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="mtpano-")


def _journal(file: Path) -> str:
    """What to do about messages that a recorder which was killed left beside a database, or ""."""
    journal = file.with_name(f"{file.name}-wal")
    if not journal.is_file() or not journal.stat().st_size:
        return ""
    mend = f"`sqlite3 {readable(file.name)} 'PRAGMA wal_checkpoint(TRUNCATE)'`"
    return f"they are in {readable(journal.name)}, and {mend} brings them in"


def _zstd() -> Any:
    """The module for Zstandard that is here: Python's own, or what rosbags brings."""
    for name in ("compression.zstd", "backports.zstd", "zstandard"):
        try:
            return __import__(name, fromlist=["open"])
        except ImportError:
            continue
    raise MtpanoError(
        "a compressed bag needs a Zstandard library: install one with `pip install zstandard`"
    )


def _unreadable(file: Path, error: Exception) -> MtpanoError:
    """What is wrong with a storage file, and what really mends that."""
    text = f"bag '{readable(file)}' cannot be read"
    if isinstance(error, MtpanoError):
        return error
    if isinstance(error, OSError) and error.strerror:
        return MtpanoError(f"{text}: {error.strerror}")
    try:
        with file.open("rb") as opened:
            start = opened.read(64)
            opened.seek(-min(8, os.path.getsize(file)), os.SEEK_END)
            end = opened.read()
    except OSError:
        start = end = b""
    reason = f"{type(error).__name__}: {readable(str(error)).splitlines()[0] if str(error) else ''}"
    if not start:
        return MtpanoError(f"{text}: it is empty, so nothing was recorded or it was not copied")
    if start.startswith(_ZSTD_MAGIC):
        return MtpanoError(f"{text} ({reason}): the compressed file is damaged, copy it again")
    if start.startswith(_MCAP_MAGIC):
        if end != _MCAP_MAGIC or len(start) < 64:
            mend = f"`mcap recover {readable(file.name)} -o recovered.mcap`"
            return MtpanoError(f"{text}: its recording was cut off; mend it with {mend}")
        profile = _mcap_profile(start)
        if profile != "ros2":
            return MtpanoError(
                f"{text}: it is an MCAP of profile {profile!r}, expected 'ros2'; record it with "
                "`ros2 bag record`, or convert it"
            )
        if isinstance(error, KeyError):
            return MtpanoError(
                f"{text}: a channel has a schema of kind {error}, which the library rosbags does "
                "not know; leave that topic out with `mcap filter`"
            )
        return MtpanoError(f"{text} ({reason}): it is damaged; try `mcap recover`")
    if start.startswith(_SQLITE_MAGIC):
        if journal := _journal(file):
            return MtpanoError(f"{text} without its last messages: {journal}")
        mend = f"`sqlite3 {readable(file.name)} .recover | sqlite3 recovered.db3`"
        return MtpanoError(f"{text} ({reason}): it is damaged or cut off; mend it with {mend}")
    return MtpanoError(f"{text} ({reason}): it is no MCAP and no sqlite3 file, or it is damaged")


def _mcap_profile(start: bytes) -> str:
    try:
        (length,) = struct.unpack_from("<I", start, 17)
        return start[21 : 21 + min(length, 40)].decode("utf-8", "replace")
    except struct.error:
        return ""
