"""Video over a lossy link: what is shown is whole, and everything is counted."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import cv2
import numpy as np
import pytest

from mtpano_model.errors import MtpanoError
from mtpano_model.video.decoder import Decoder, video_codec

SIZE = (96, 192)


def scene(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A picture with a moving pattern, different every time."""
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    waves = 127 + 80 * np.sin((columns + 5 * number) / 9.0) * np.cos((rows - 3 * number) / 7.0)
    picture = np.repeat(waves[..., None], 3, 2).astype(np.uint8)
    cv2.putText(picture, str(number), (10, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (255, 255, 255), 3)
    return picture


def encode(codec: str, count: int, size=SIZE, gop: int = 30, bframes: int = 0):
    """Packets in Annex B, one a picture, with parameter sets at every key frame."""
    av = pytest.importorskip("av", reason="PyAV is not installed (extra video)")
    encoder = {"h264": "libx264", "hevc": "libx265"}[codec]
    if encoder not in av.codecs_available:
        pytest.skip(f"this PyAV has no {encoder}")
    context = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt = size[1], size[0], "yuv420p"
    context.time_base = Fraction(1, 30)
    context.gop_size, context.max_b_frames = gop, bframes
    common = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={bframes}:repeat-headers=1"
    key = {"h264": "x264-params", "hevc": "x265-params"}[codec]
    # x265 writes a hash of every picture: FFmpeg cannot tell damage inside H.265 without it.
    more = "" if codec == "h264" else ":log-level=none:hash=1"
    tune = {} if bframes else {"tune": "zerolatency"}
    context.options = {"preset": "ultrafast", "crf": "12", key: common + more, **tune}
    packets = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(scene(number, size), format="rgb24")
        frame.pts = number
        packets += [bytes(packet) for packet in context.encode(frame)]
    packets += [bytes(packet) for packet in context.encode(None)]
    return [packet for packet in packets if packet]


def decoder(codec: str = "h264") -> tuple[Decoder, list[str]]:
    pytest.importorskip("av", reason="PyAV is not installed (extra video)")
    told: list[str] = []
    return Decoder(codec, told.append), told


def psnr(shown: np.ndarray, number: int) -> float:
    error = shown.astype(float) - scene(number, shown.shape[:2])
    return 10 * np.log10(255**2 / np.mean(error**2))


def counts_add_up(one: Decoder) -> bool:
    parts = ("shown", "waiting", "damaged", "late", "refused", "empty")
    return one.counts["fed"] == sum(one.counts[part] for part in parts)


def show(one: Decoder, packets, stamps) -> dict[int, np.ndarray]:
    shown = {}
    for packet, stamp in zip(packets, stamps, strict=True):
        for picture in one.feed(packet, stamp):
            shown[picture.stamp] = picture.rgb()
    return shown


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_every_picture_comes_at_once_with_its_stamp(codec: str) -> None:
    one, told = decoder(codec)
    packets = encode(codec, 65)
    for number, packet in enumerate(packets):
        (picture,) = one.feed(packet, 1000 + number)
        assert picture.stamp == 1000 + number
        assert psnr(picture.rgb(), number) > 30
    assert told == []
    assert one.counts["shown"] == one.counts["fed"] == 65


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_stamps_that_begin_again_wait_for_the_next_key_frame(codec: str) -> None:
    one, told = decoder(codec)
    packets = encode(codec, 40)
    second = 10**9
    stamps = [(100 * second if n < 25 else second) + n * second // 30 for n in range(40)]
    shown = show(one, packets, stamps)
    assert sorted(shown) == sorted(stamps[:25] + stamps[30:])
    assert (one.counts["late"], told) == (0, [])
    assert counts_add_up(one)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_five_percent_of_the_packets_lost(codec: str, seed: int) -> None:
    """Of 300 pictures those between a loss and the next key frame are not shown, the others are."""
    rng = np.random.default_rng(seed)
    packets = encode(codec, 300)
    lost = rng.random(300) < 0.05
    one, _ = decoder(codec)
    kept = np.flatnonzero(~lost)
    shown = show(one, [packets[number] for number in kept], kept.tolist())
    whole = {
        number
        for number in range(300)
        if not lost[number // 30 * 30 : number + 1].any()  # key frames every 30
    }
    assert set(shown) == whole
    assert min(psnr(picture, number) for number, picture in shown.items()) > 30
    assert counts_add_up(one)


@pytest.mark.parametrize(
    ("codec", "harm"),
    [
        *(("h264", harm) for harm in ("cut", "zeroed", "noise", "bytes", "empty")),
        # What cuts the hash off as well goes unnoticed in H.265.
        *(("hevc", harm) for harm in ("bytes", "empty")),
    ],
)
def test_a_damaged_packet_is_never_shown(codec: str, harm: str) -> None:
    rng = np.random.default_rng(3)
    packets = encode(codec, 90)
    for number in (10, 45):
        data = bytearray(packets[number])
        if harm == "cut":
            data = data[: len(data) // 2]
        elif harm == "zeroed":
            data[len(data) // 3 :] = bytes(len(data) - len(data) // 3)
        elif harm == "noise":
            data[20:] = rng.integers(0, 256, len(data) - 20, np.uint8).tobytes()
        elif harm == "bytes":
            middle = slice(len(data) // 2, len(data) // 2 + 20)
            data[middle] = rng.integers(1, 256, 20, np.uint8).tobytes()
        else:
            data = bytearray()
        packets[number] = bytes(data)
    one, _ = decoder(codec)
    shown = show(one, packets, range(90))
    assert set(range(10)) <= set(shown)
    assert set(range(60, 90)) <= set(shown)
    assert min(psnr(picture, number) for number, picture in shown.items()) > 30
    assert counts_add_up(one)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_begins_at_a_key_frame(codec: str) -> None:
    one, _ = decoder(codec)
    shown = show(one, encode(codec, 61)[7:], range(7, 61))
    assert min(shown) == 30
    assert one.counts["waiting"] == 23


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_another_resolution_and_a_restarted_encoder(codec: str) -> None:
    streams = encode(codec, 40) + encode(codec, 20, (64, 128)) + encode(codec, 20)
    one, told = decoder(codec)
    shown = show(one, streams, range(80))
    assert len(shown) == 80
    assert [shown[number].shape[:2] for number in (0, 39, 40, 59, 60)] == [
        SIZE, SIZE, (64, 128), (64, 128), SIZE
    ]  # fmt: skip
    assert psnr(shown[45], 5) > 30
    assert told == []


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_late_and_repeated_packets_are_dropped(codec: str) -> None:
    packets = encode(codec, 40)
    one, _ = decoder(codec)
    order = [*range(10), 9, 8, *range(10, 40)]
    shown = show(one, [packets[number] for number in order], order)
    assert set(shown) == set(range(40))
    assert one.counts["late"] == 2
    assert counts_add_up(one)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_b_frames_are_refused_once_in_a_sentence(codec: str) -> None:
    one, told = decoder(codec)
    shown = show(one, encode(codec, 60, bframes=2), range(60))
    assert len(told) == 1
    assert "B frames" in told[0]
    assert "bf=0" in told[0]
    assert one.counts["refused"] > 40
    assert len(shown) < 5
    assert counts_add_up(one)
    assert len(show(one, encode(codec, 30, (64, 128)), range(100, 130))) == 30


def test_a_stream_without_key_frames_is_told() -> None:
    one, told = decoder()
    show(one, encode("h264", 400, gop=1000)[1:], range(1, 400))
    assert len(told) == 1
    assert "300 packets of H.264 came without a key frame" in told[0]
    assert one.counts["waiting"] == 399


def test_bytes_that_are_no_stream_are_told() -> None:
    one, told = decoder()
    assert show(one, [b"\xff\xd8\xff" + bytes(50), b""], [1, 2]) == {}
    assert len(told) == 1
    assert "start code" in told[0]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("h264", "h264"),
        ("H264", "h264"),
        ("libx264", "h264"),
        ("h264_nvenc;yuv420p;bgr8;bgr8", "h264"),
        ("avc1", "h264"),
        ("hevc", "hevc"),
        ("h265", "hevc"),
        ("hevc_vaapi", "hevc"),
        ("libx265", "hevc"),
        ("jpeg", None),
        ("bgr8; jpeg compressed bgr8", None),
        ("av1", None),
        ("", None),
    ],
)
def test_names_of_codecs(name: str, codec: str | None) -> None:
    assert video_codec(name) == codec


def test_another_codec_is_refused() -> None:
    with pytest.raises(MtpanoError, match=r"'av1' is not supported, expected h264 or h265"):
        Decoder("av1", print)


def test_without_pyav_the_package_is_named() -> None:
    code = (
        "import sys; sys.modules['av'] = None\n"
        "from mtpano_model.video.decoder import Decoder\n"
        "Decoder('h264', print)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "decoding H.264 needs PyAV: install it with `pip install av`" in done.stderr
