"""How users write the size of a picture."""

from __future__ import annotations

import re

from mtpano_model.errors import MtpanoError


def parse_size(text: str) -> tuple[int, int]:
    """(H, W) of "256x512", rows first as everywhere here; MtpanoError for anything else."""
    match = re.fullmatch(r"\s*(\d+)\s*x\s*(\d+)\s*", text)
    if match is None or not int(match[1]) or not int(match[2]):
        raise MtpanoError(f"size '{text}' is not HEIGHTxWIDTH: expected something like 256x512")
    return int(match[1]), int(match[2])
