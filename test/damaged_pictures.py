"""Pictures that no reader may stumble over."""

from __future__ import annotations

import struct
import zlib


def oversized_png(width: int = 65536, height: int = 32768) -> bytes:
    """A PNG of some 70 bytes whose header promises more pixels than OpenCV reads (2^30)."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(10))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
