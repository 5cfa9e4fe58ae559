"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PART = ".part"  # ends the name of a file that is being written


def write_whole(path: Path, *parts: bytes | memoryview, durable: bool = False) -> None:
    """Write the parts one after another; readers see the old file or the new one.

    They are written beside `path`, which they replace at the end. Where that fails, OSError, and
    nothing is left behind. A link stays a link; a device is written to as it is, and so is
    a pipe that somebody reads.
    durable: they have reached the disk by then, so that a power cut leaves no empty file.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        with open(target, "wb", opener=_without_waiting) as file:
            file.writelines(parts)
        return
    part = target.with_name(f".{os.getpid()}-{os.urandom(4).hex()}{PART}")
    try:
        with part.open("xb") as file:
            file.writelines(parts)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        part.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            error.filename = str(path)  # nobody has heard of the part
        raise


def _without_waiting(path: str, flags: int) -> int:
    """A pipe that nobody reads would be waited for, for ever."""
    try:
        number = os.open(path, flags | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(os.stat(path).st_mode):
            raise OSError(error.errno, "it is a pipe that nobody reads", path) from None
        raise
    os.set_blocking(number, True)
    return number


def try_folder(folder: Path) -> None:
    """OSError where no file can be written into a folder, which is made if it is missing."""
    import tempfile  # not at the start of every program

    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()


def write_whole_text(path: Path, lines: Iterable[str]) -> None:
    """Write lines of text as UTF-8 in the same way."""
    write_whole(path, "".join(f"{line}\n" for line in lines).encode())


def write_json(path: Path, value: Any, allow_nan: bool = True) -> None:
    """Write a value as JSON in the same way, durable; ValueError where NaN is not allowed."""
    text = json.dumps(value, indent=1, allow_nan=allow_nan)
    write_whole(path, text.encode(), b"\n", durable=True)
