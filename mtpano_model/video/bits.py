"""Annex B of H.264 and H.265: NAL units, and the bits of their headers."""

from __future__ import annotations

import re
from collections.abc import Iterator

_START = re.compile(rb"\x00\x00\x01")


def nal_units(data: bytes, most: int = 128) -> Iterator[bytes]:
    """The first `most` bytes of every NAL unit, without emulation prevention: headers lie there."""
    starts = [match.end() for match in _START.finditer(data)]
    for start, end in zip(starts, [*starts[1:], len(data) + 3], strict=True):
        unit = data[start : min(end - 3, start + most)]
        if unit:
            yield unit.replace(b"\x00\x00\x03", b"\x00\x00")


class Bits:
    """Reads bits from the front; IndexError at their end."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        """An unsigned number of `count` bits: u(n)."""
        if count > self._left:
            raise IndexError("the header is cut short")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def golomb(self) -> int:
        """An unsigned Exp-Golomb number: ue(v), 9.1 of H.264."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed_golomb(self) -> int:
        """A signed Exp-Golomb number: se(v)."""
        code = self.golomb()
        return (code + 1) // 2 if code % 2 else -(code // 2)
