"""Reads from a packet's headers whether it is a key or B frame, and whether one is missing.

H.264 numbers its reference pictures (frame_num, 7.4.3 of ITU-T H.264); H.265 counts all pictures
(pic_order_cnt_lsb, 7.4.7.1 of ITU-T H.265), in steps that its encoder chooses. FFmpeg fills
such gaps with older pictures without an error, so they are detected here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mtpano_model.video.bits import Bits, nal_units

_SCALED_PROFILES = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)
_SURE_AFTER = 3  # equal steps in a row


@dataclass(frozen=True)
class Packet:
    """key: it can be decoded without any before it. b: it has B slices that ask for a later
    picture. gap: a picture before it is missing. setup: it changes the sequence's parameters.
    picture: it holds a picture at all."""

    key: bool = False
    b: bool = False
    gap: bool = False
    setup: bool = False
    picture: bool = False


class Headers(Protocol):
    """Follows one stream's headers."""

    def read(self, data: bytes) -> Packet:
        """The kind of a packet; a truncated header counts as a gap."""


class H264Headers:
    """Headers of H.264."""

    def __init__(self) -> None:
        self._sps = b""
        self._frame_num_bits, self._color_planes = 4, False
        self._last, self._last_is_reference = 0, True

    def read(self, data: bytes) -> Packet:
        """See `Headers`."""
        setup = False
        try:
            for unit in nal_units(data):
                kind = unit[0] & 31
                if kind == 7 and unit != self._sps:
                    setup = bool(self._sps)
                    self._read_sps(unit)
                elif kind in (1, 5):
                    return self._slice(unit, setup)
        except IndexError:
            return Packet(gap=True, setup=setup, picture=True)
        return Packet(setup=setup)

    def _slice(self, unit: bytes, setup: bool) -> Packet:
        bits = Bits(unit[1:])
        bits.golomb()  # first_mb_in_slice
        kind = bits.golomb() % 5
        bits.golomb()  # pic_parameter_set_id
        if self._color_planes:
            bits.take(2)
        number, modulus = bits.take(self._frame_num_bits), 1 << self._frame_num_bits
        key = unit[0] & 31 == 5
        expected = (self._last + self._last_is_reference) % modulus
        gap = not key and number != expected
        self._last, self._last_is_reference = number, bool(unit[0] & 0x60)
        return Packet(key, kind == 1, gap, setup, True)

    def _read_sps(self, unit: bytes) -> None:
        bits = Bits(unit[1:])
        profile = bits.take(8)
        bits.take(16)
        bits.golomb()  # seq_parameter_set_id
        self._color_planes = False
        if profile in _SCALED_PROFILES:
            chroma = bits.golomb()
            self._color_planes = chroma == 3 and bool(bits.take(1))
            bits.golomb()
            bits.golomb()
            bits.take(1)
            if bits.take(1):  # seq_scaling_matrix_present_flag
                for number in range(8 if chroma != 3 else 12):
                    if bits.take(1):
                        _skip_scaling_list(bits, 16 if number < 6 else 64)
        self._frame_num_bits = _counter_bits(bits)
        self._sps = unit


def _counter_bits(bits: Bits) -> int:
    """How many bits a picture's number has: 4 to 16, in both standards."""
    count = bits.golomb() + 4
    if count > 16:
        raise IndexError("the header is damaged")
    return count


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = scale = 8
    for _ in range(size):
        if scale:
            scale = (last + bits.signed_golomb()) % 256
        last = scale or last


class H265Headers:
    """Headers of H.265."""

    def __init__(self) -> None:
        self._sps = b""
        self._order_bits, self._color_planes = 8, False
        self._output_flag, self._extra_bits = False, 0
        self._last = 0
        self._step, self._likely_step, self._times = 1, 1, 0

    def read(self, data: bytes) -> Packet:
        """See `Headers`."""
        setup = False
        try:
            for unit in nal_units(data):
                kind = unit[0] >> 1 & 63
                if kind == 33 and unit != self._sps:
                    setup = bool(self._sps)
                    self._read_sps(unit)
                elif kind == 34:
                    self._read_pps(unit)
                elif kind < 32:
                    return self._slice(unit, kind, setup)
        except IndexError:
            return Packet(gap=True, setup=setup, picture=True)
        return Packet(setup=setup)

    def _slice(self, unit: bytes, kind: int, setup: bool) -> Packet:
        bits = Bits(unit[2:])
        key = 16 <= kind <= 23
        if not bits.take(1):  # first_slice_segment_in_pic_flag
            return Packet(gap=True, setup=setup, picture=True)
        if key:
            bits.take(1)
        bits.golomb()  # slice_pic_parameter_set_id
        bits.take(self._extra_bits)
        bits.golomb()  # slice_type: B slices may well look back only, so the order has to tell
        if self._output_flag:
            bits.take(1)
        if self._color_planes:
            bits.take(2)
        order = 0 if kind in (19, 20) else bits.take(self._order_bits)
        modulus = 1 << self._order_bits
        step, self._last = (order - self._last) % modulus, order
        if key:
            return Packet(True, False, False, setup, True)
        self._learn(step)
        return Packet(False, step > modulus // 2, step != self._step, setup, True)

    def _learn(self, step: int) -> None:
        """Learn the step of an encoder's counter (some count in twos) from three equal steps."""
        self._times = self._times + 1 if step == self._likely_step else 1
        self._likely_step = step
        if self._times >= _SURE_AFTER:
            self._step = step

    def _read_pps(self, unit: bytes) -> None:
        bits = Bits(unit[2:])
        bits.golomb()
        bits.golomb()
        bits.take(1)
        self._output_flag, self._extra_bits = bool(bits.take(1)), bits.take(3)

    def _read_sps(self, unit: bytes) -> None:
        bits = Bits(unit[2:])
        bits.take(4)
        layers = bits.take(3)  # sps_max_sub_layers_minus1
        bits.take(1 + 96)
        present = [(bits.take(1), bits.take(1)) for _ in range(layers)]
        if layers:
            bits.take(2 * (8 - layers))
        for profile, level in present:
            bits.take(88 * profile + 8 * level)
        bits.golomb()
        self._color_planes = bits.golomb() == 3 and bool(bits.take(1))
        bits.golomb()
        bits.golomb()
        if bits.take(1):  # conformance_window_flag
            for _ in range(4):
                bits.golomb()
        bits.golomb()
        bits.golomb()
        self._order_bits = _counter_bits(bits)
        self._sps = unit
        self._step, self._likely_step, self._times = 1, 1, 0
