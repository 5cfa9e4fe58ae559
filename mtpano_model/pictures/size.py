"""The size of a picture: height first, in code and as users write it."""

from __future__ import annotations

import re

from mtpano_model.errors import MtpanoError

Size = tuple[int, int]  # (H, W)
# The largest panoramas that cameras give; more is refused before it is decoded, made or copied.
MAX_SIZE = (8192, 16384)


def parse_size(text: str) -> Size:
    """(H, W) of "256x512", rows first as everywhere here; MtpanoError for anything else."""
    match = re.fullmatch(r"\s*([0-9]{1,6})\s*x\s*([0-9]{1,6})\s*", text)
    if match is None or not int(match[1]) or not int(match[2]):
        raise MtpanoError(
            f"size '{text[:40]}' is not HEIGHTxWIDTH: expected something like 256x512"
        )
    size = int(match[1]), int(match[2])
    if size[0] * size[1] > MAX_SIZE[0] * MAX_SIZE[1]:
        raise MtpanoError(
            f"size '{text[:40]}' is too large: expected at most as many pixels as "
            f"{size_text(MAX_SIZE)} has"
        )
    return size


def parse_panorama_size(text: str) -> Size:
    """(H, W) of a panorama's size such as "256x512"; MtpanoError unless W is 2 H."""
    height, width = parse_size(text)
    if width != 2 * height:
        raise MtpanoError(
            f"size '{text[:40]}' is not 2:1: expected HEIGHTxWIDTH with twice as many columns as "
            "rows, such as 256x512"
        )
    return height, width


def size_text(size: Size) -> str:
    """(H, W) as HEIGHTxWIDTH."""
    return f"{size[0]}x{size[1]}"
