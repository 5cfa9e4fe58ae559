"""The authors' numbers in 8 MB: packs and unpacks what `test/reference` holds, without loss.

    python test/reference_files.py SOURCE TARGET      # SOURCE as `unpack` makes it

A packed file is one JSON line that lists the arrays, and behind it, compressed by LZMA, their bits:
of an array first all lowest bytes, then all second ones, and so on, and where that is shorter, of
the differences along its last axis. Neighbouring numbers have alike high bytes, so these are runs.
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

PACKED = Path(__file__).with_name("reference")
_TENSORS = "*.safetensors"
_AS_IT_IS = ("*.json", "*.tsv")
_BITS = {
    1: np.uint8,
    2: np.uint16,
    4: np.uint32,
    8: np.uint64,
}  # by bytes: they wrap, losing nothing


def unpack(target: Path) -> Path:
    """Write the reference folders into `target`, as `mtpano parity` reads them."""
    for packed in sorted(PACKED.rglob("*.xz")):
        file = target / packed.relative_to(PACKED).with_suffix(".safetensors")
        file.parent.mkdir(parents=True, exist_ok=True)
        head, _, body = packed.read_bytes().partition(b"\n")
        bits, tensors, place = lzma.decompress(body), {}, 0
        for name, kind, shape, differences in json.loads(head):
            size = np.dtype(kind).itemsize * int(np.prod(shape))
            planes = bits[place : place + size]
            tensors[name] = _unpacked(planes, np.dtype(kind), shape, differences)
            place += size
        save_file(tensors, file)
    _copy_texts(PACKED, target)
    return target


def pack(source: Path, target: Path) -> None:
    """Inverse of `unpack`; the outputs of a network keep the first panorama alone."""
    for file in sorted(source.rglob(_TENSORS)):
        tensors = load_file(file)
        if "input" in tensors:
            tensors = {k: v if k == "input" else v[:1] for k, v in tensors.items()}
        parts = {name: _packed(tensor) for name, tensor in tensors.items()}
        rows = [[k, v.dtype.name, v.shape, parts[k][1]] for k, v in tensors.items()]
        head = json.dumps(rows, separators=(",", ":"))
        body = lzma.compress(
            b"".join(planes for planes, _ in parts.values()), preset=9 | lzma.PRESET_EXTREME
        )
        packed = target / file.relative_to(source).with_suffix(".xz")
        packed.parent.mkdir(parents=True, exist_ok=True)
        packed.write_bytes(head.encode() + b"\n" + body)
    _copy_texts(source, target)


def _packed(array: NDArray[Any]) -> tuple[bytes, bool]:
    """The bytes in planes, and whether they are those of differences."""
    size = array.dtype.itemsize
    bits = np.ascontiguousarray(array).reshape(array.shape or 1).view(_BITS[size])
    change = np.diff(bits, axis=-1, prepend=bits.dtype.type(0))
    ways = [
        np.ascontiguousarray(way).view(np.uint8).reshape(-1, size).T.tobytes()
        for way in (bits, change)
    ]
    lengths = [len(lzma.compress(way)) for way in ways]
    return ways[lengths[1] < lengths[0]], lengths[1] < lengths[0]


def _unpacked(planes: bytes, kind: np.dtype, shape: list[int], differences: bool) -> NDArray[Any]:
    size = kind.itemsize
    rows = np.frombuffer(planes, np.uint8).reshape(size, -1).T
    bits = np.ascontiguousarray(rows).view(_BITS[size]).reshape(shape or [1])
    if differences:
        bits = np.cumsum(bits, axis=-1, dtype=_BITS[size])
    return bits.view(kind).reshape(shape)


def _copy_texts(source: Path, target: Path) -> None:
    for pattern in _AS_IT_IS:
        for file in source.rglob(pattern):
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())


if __name__ == "__main__":
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
