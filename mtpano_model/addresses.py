"""Refuses addresses (http://, s3://, rtsp://, ...) where a path is expected."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote

from mtpano_model.errors import MtpanoError

# pathlib leaves one slash of the two. A single letter is a drive's name elsewhere.
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/", re.IGNORECASE)
_STREAMS = ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srt", "udp", "tcp", "mms", "rtmpt")
_DOWNLOADS = ("http", "https", "ftp", "ftps", "sftp")


def refuse_addresses(values: Iterable[object], words: Sequence[str]) -> None:
    """MtpanoError if one of these paths, or of those in lists of them, is an address.

    words: of the command line, which still have both slashes.
    """
    for value in values:
        for path in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(path, Path) and _ADDRESS.match(str(path)):
                refuse_address(_as_given(path, words))


def refuse_address(text: str) -> None:
    """MtpanoError with what to do, if a text that stands for a path is an address."""
    found = _ADDRESS.match(text)
    # Somebody may have a folder called `http:`.
    if found is None or os.path.lexists(found[0]):
        return
    raise MtpanoError(f"'{text}' is an address, and a path is expected: {_remedy(found[1], text)}")


def _remedy(scheme: str, text: str) -> str:
    scheme = scheme.lower()
    if scheme == "file":
        path = unquote(text[len("file:") :])
        return f"give {re.sub('^//(localhost)?(?=/)', '', path)}"
    if scheme in _STREAMS:
        return (
            "`ros2 run mtpano_ros player ADDRESS` plays a stream to the node, and what "
            "`ros2 bag record` makes of its topic can be given here"
        )
    if scheme in _DOWNLOADS:
        return "download it (curl -LO ADDRESS) and give the file"
    return "copy it to this machine and give the copy"


def _as_given(path: Path, words: Sequence[str]) -> str:
    for word in words:
        for text in (word, word.partition("=")[2]):
            if text and Path(text) == path:
                return text
    return str(path)
