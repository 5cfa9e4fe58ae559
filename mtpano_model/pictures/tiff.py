"""Directories of a TIFF file, which are also what EXIF is made of (TIFF 6.0, section 2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

ORIENTATION, _EXTRA_SAMPLES = 0x112, 0x152
# type -> (bytes a value, struct's letter); other types are left out.
_TYPES = {1: (1, "B"), 3: (2, "H"), 4: (4, "I"), 7: (1, "B")}
_MOST_VALUES = 1 << 20


def first_directory(data: bytes) -> dict[int, tuple[int, ...]]:
    """Tags and whole-number values of the first directory; empty where this is no TIFF."""
    return {tag: struct.unpack_from(form, data, at) for tag, form, at in _entries(data)}


def as_stored(data: bytes) -> tuple[tuple[int, bytes], ...]:
    """(place, bytes) to overwrite in a TIFF so that libtiff gives its pixels as they are stored.

    It would turn them by the orientation, and multiply colours by alpha that is not associated.
    """
    tags = {ORIENTATION, _EXTRA_SAMPLES}  # 1 is "as stored", and "associated"
    return tuple(
        (at, struct.pack(form[0] + form[-1], 1)) for tag, form, at in _entries(data) if tag in tags
    )


def orientation(exif: bytes) -> int:
    """The EXIF orientation, 1 to 8; 1 is as stored."""
    value = first_directory(exif.removeprefix(b"Exif\0\0")).get(ORIENTATION, (1,))
    return value[0] if len(value) == 1 and 1 <= value[0] <= 8 else 1


def _entries(data: bytes) -> Iterator[tuple[int, str, int]]:
    """Tag, struct's form and place of the values; where the file is cut off, what lies before."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return
    try:
        (place,) = struct.unpack_from(order + "I", data, 4)
        (entries,) = struct.unpack_from(order + "H", data, place)
        for entry in range(place + 2, place + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(order + "HHI", data, entry)
            if kind not in _TYPES or not 0 < count <= _MOST_VALUES:
                continue
            length, letter = _TYPES[kind]
            at = entry + 8
            if length * count > 4:
                (at,) = struct.unpack_from(order + "I", data, at)
            if at + length * count > len(data):
                return
            yield tag, f"{order}{count}{letter}", at
    except struct.error:
        return
