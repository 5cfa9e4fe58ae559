"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path


def write_whole(path: Path, *parts: bytes | memoryview) -> None:
    """Write the parts one after another; readers see the old file or the new one.

    They are written beside `path`, which they replace at the end. Where that fails, OSError, and
    nothing is left behind. A link stays a link; a device or a pipe is written to as it is.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        with target.open("wb") as file:
            file.writelines(parts)
        return
    part = target.with_name(f".{os.getpid()}-{os.urandom(4).hex()}.part")
    try:
        with part.open("xb") as file:
            file.writelines(parts)
        part.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink()
        if isinstance(error, OSError):
            error.filename = str(path)  # nobody has heard of the part
        raise


def write_whole_text(path: Path, lines: Iterable[str]) -> None:
    """Write lines of text as UTF-8 in the same way."""
    write_whole(path, "".join(f"{line}\n" for line in lines).encode())
