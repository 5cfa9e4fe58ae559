"""Opens a storage file of a rosbag2 recording (sqlite3 or MCAP), or says what is wrong with it.

The type is determined by its bytes, not by its name. The library `rosbags` reads it.
"""

from __future__ import annotations

import logging
import os
import re
import struct
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from mtpano_model.errors import MtpanoError, needed_module
from mtpano_model.pictures.folders import readable

log = logging.getLogger(__name__)

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ROS1_MAGIC = b"#ROSBAG V"
_MCAP_MAGIC = b"\x89MCAP0\r\n"
_SQLITE_MAGIC = b"SQLite format 3"
# regular expression for the first bytes of what often lies in a bag's place, what it is
_FOREIGN = (
    (rb"version https://git-lfs", "it is a pointer of Git LFS; `git lfs pull` brings the file"),
    (
        rb"\x1f\x8b|BZh|\xfd7zXZ|\x04\x22\x4d\x18|PK\x03\x04|7z\xbc\xaf",
        "it is compressed, but not with Zstandard; decompress it first",
    ),
)


def open_storage(file: Path, stack: ExitStack) -> Any:
    """The reader of a storage file, closed by `stack`; MtpanoError, with a remedy, if not."""
    rosbag2 = needed_module("rosbags.rosbag2", "reading a bag")
    try:
        with file.open("rb") as opened:
            start = opened.read(4096)
        if start.startswith(_ROS1_MAGIC):
            raise MtpanoError(
                f"'{readable(file)}' is a bag of ROS 1: convert it with `rosbags-convert --src "
                f"{readable(file.name)} --dst {readable(file.stem)}`"
            )
        reader = rosbag2.Reader(_plainly_named(file, start, stack))
        reader.open()
    except MtpanoError:
        raise
    except Exception as error:  # whatever sqlite3, zstd, lz4, struct and yaml raise
        raise unreadable(file, error) from error
    stack.callback(reader.close)
    if journal := _journal(file):
        warn_once(f"bag '{readable(file)}' is read without its last messages: {journal}")
    return reader


def decompressed(data: bytes) -> bytes:
    """A message without the recorder's compression; raises zstd's own errors."""
    return zstd().decompress(data) if data[:4] == _ZSTD_MAGIC else data  # CDR begins with 0


@cache
def warn_once(text: str) -> None:
    """Log a warning once, since a command opens the same bag two or three times."""
    log.warning("%s", text)


def _plainly_named(file: Path, start: bytes, stack: ExitStack) -> Path:
    """The file, decompressed if necessary, under a name that rosbags can open.

    rosbags relies on the suffix, which may be wrong, and puts a database's path unquoted into a
    URI.
    """
    whole = file
    if start.startswith(_ZSTD_MAGIC):
        with _temporary_folder(file, stack) as folder:
            whole = folder / "unpacked"
            with whole.open("wb") as unpacked:
                unpacked.writelines(_parts(file))
        with whole.open("rb") as opened:
            start = opened.read(len(_SQLITE_MAGIC))
    if not start.startswith((_MCAP_MAGIC, _SQLITE_MAGIC)):
        raise _no_storage(file, start)
    suffix = ".mcap" if start.startswith(_MCAP_MAGIC) else ".db3"
    if whole.suffix == suffix and (suffix == ".mcap" or _is_plain(whole)):
        return whole
    with _temporary_folder(file, stack, must_be_plain=suffix == ".db3") as folder:
        named = folder / f"bag{suffix}"
        named.symlink_to(whole.absolute())
    return named


def _parts(file: Path) -> Iterator[bytes]:
    """The decompressed parts of a file; MtpanoError if it is damaged."""
    with zstd().open(file, "rb") as packed:
        while True:
            try:
                part = packed.read(1 << 20)
            except OSError as error:
                raise unreadable(file, error) from error
            if not part:
                return
            yield part


def _is_plain(path: Path) -> bool:
    return not re.search("[#?%\udc80-\udcff]", str(path.absolute()))


@contextmanager
def _temporary_folder(file: Path, stack: ExitStack, must_be_plain: bool = False) -> Iterator[Path]:
    """A new folder that `stack` removes; MtpanoError, with a remedy, if there is no room for it."""
    place = os.environ.get("TMPDIR") or "/tmp"
    try:
        place = tempfile.gettempdir()
        if must_be_plain and not _is_plain(Path(place)):
            raise OSError(0, "its name has one of #, ? and %, or is not UTF-8")
        yield Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mtpano-")))
    except OSError as error:
        raise MtpanoError(
            f"bag '{readable(file)}' needs space in a temporary folder, and '{readable(place)}' "
            f"cannot be used ({error.strerror}): free some space in it, or name another in TMPDIR"
        ) from error


def _journal(file: Path) -> str:
    """How to recover messages that a killed recorder left beside a database, or ""."""
    journal = file.with_name(f"{file.name}-wal")
    if not journal.is_file() or not journal.stat().st_size:
        return ""
    repair = f"`sqlite3 {readable(file.name)} 'PRAGMA wal_checkpoint(TRUNCATE)'`"
    return f"they are in {readable(journal.name)}, and {repair} merges them"


@cache
def zstd() -> Any:
    """The installed Zstandard module: Python's own, or a dependency of rosbags."""
    for name in ("compression.zstd", "backports.zstd", "zstandard"):
        try:
            return __import__(name, fromlist=["open"])
        except ImportError:
            continue
    raise MtpanoError(
        "a compressed bag needs a Zstandard library: install one with `pip install zstandard`"
    )


def _no_storage(file: Path, start: bytes) -> MtpanoError:
    text = f"bag '{readable(file)}' cannot be read"
    if not start:
        return MtpanoError(f"{text}: it is empty, so nothing was recorded or it was not copied")
    found = (what for begin, what in _FOREIGN if re.match(begin, start, re.DOTALL))
    what = next(found, "it is neither an MCAP nor a sqlite3 file, or its beginning is damaged")
    return MtpanoError(f"{text}: {what}")


def unreadable(file: Path, error: Exception) -> MtpanoError:
    """The error for an unreadable storage file, with its remedy."""
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
    if start.startswith(_ZSTD_MAGIC):
        return MtpanoError(f"{text} ({reason}): the compressed file is damaged, copy it again")
    if start.startswith(_MCAP_MAGIC):
        if end != _MCAP_MAGIC or len(start) < 64:
            repair = f"`mcap recover {readable(file.name)} -o recovered.mcap`"
            return MtpanoError(f"{text}: its recording was cut off; repair it with {repair}")
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
        if "missing tables" in str(error):
            return MtpanoError(
                f"{text}: it is a database without the tables of rosbag2; give the .db3 file that "
                "`ros2 bag record` wrote"
            )
        repair = f"`sqlite3 {readable(file.name)} .recover | sqlite3 recovered.db3`"
        return MtpanoError(f"{text} ({reason}): it is damaged or cut off; repair it with {repair}")
    return _no_storage(file, start)


def _mcap_profile(start: bytes) -> str:
    try:
        (length,) = struct.unpack_from("<I", start, 17)
        return start[21 : 21 + min(length, 40)].decode("utf-8", "replace")
    except struct.error:
        return ""
