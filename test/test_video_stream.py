"""Streams whose headers are damaged, and streams that change their codec."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_video import counts_add_up, decoder, encode, scene, show

from mtpano_model.errors import MtpanoError
from mtpano_model.video.encoder import Encoder
from mtpano_model.video.headers import H265Headers
from mtpano_model.video.messages import VideoPacket
from mtpano_model.video.stream import Stream


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_what_looks_like_one_b_frame_is_damage(codec: str) -> None:
    one, told = decoder(codec)
    packets = encode(codec, 20, gop=10)
    is_b = replace(one._headers.read(packets[0]), key=False, b=True)
    read, numbers = one._headers.read, iter(range(20))
    one._headers.read = lambda data: is_b if next(numbers) == 4 else read(data)
    assert set(show(one, packets, range(20))) == {0, 1, 2, 3, *range(10, 20)}
    assert told == []
    assert counts_add_up(one)


def test_an_empty_packet_is_counted_and_takes_nothing_with_it() -> None:
    one, told = decoder()
    packets = encode("h264", 6)
    packets[3:3] = [b""]
    assert len(show(one, packets, range(7))) == 6
    assert one.counts["empty"] == 1
    assert told == []


def test_a_header_that_asks_for_more_than_there_can_be_is_a_gap() -> None:
    def golomb(number: int) -> str:
        bits = f"{number + 1:b}"
        return "0" * (len(bits) - 1) + bits

    plain = "".join(map(golomb, (0, 1, 64, 64))) + "0" + golomb(0) * 2 + golomb(2**50)
    bits = "0000" + "000" + "1" + "01" * 48 + plain + "1"  # a sequence's parameters in H.265
    bits += "0" * (-len(bits) % 8)
    sequence = b"\0\0\1\x42\1" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    assert H265Headers().read(sequence + b"\0\0\1\x26\1\xaf\xff").gap


def test_a_stream_may_change_its_codec() -> None:
    told: list[str] = []
    stream = Stream(told.append)
    shown, stamp = [], 0
    for codec in ("h264", "hevc"):
        for packet in encode(codec, 3):
            stamp += 1
            shown.append(stream.feed(VideoPacket(codec, packet, stamp), stamp))
    assert [one.stamp for one in shown] == [1, 2, 3, 4, 5, 6]
    for name in ("", "vp9"):
        with pytest.raises(MtpanoError, match=f"video codec '{name}' is not supported"):
            stream.feed(VideoPacket(name, b"x", 7), 7)
        assert stream.feed(VideoPacket(name, b"x", 8), 8) is None
    assert stream.counts == {"fed": 10, "shown": 6, "refused": 4}
    assert told == []


def test_a_picture_an_hour_is_encoded() -> None:
    pytest.importorskip("av", reason="PyAV is not installed (extra video)")
    assert Encoder("h264", 1 / 3600, 1).encode(scene(0))
