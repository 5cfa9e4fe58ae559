"""Raw and compressed messages give one answer live, in a bag that is played, and when labelled."""

from __future__ import annotations

import re
import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from bag_files import T, header, write_bag
from odd_pictures import HEIGHT, JPEG, WIDTH, encoded, scene

from mtpano_model.data.panorama import Panorama
from mtpano_model.data.rosbag import BagPanoramas
from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.messages import COLOR_ENCODINGS, SINGLE_CHANNEL, read_message
from mtpano_model.shots.bag import read_images

WIDE = scene().astype(np.uint16) * 256 + 99
GREY = np.repeat(scene()[..., 1:2], 3, -1)


def live(message, _):
    if hasattr(message, "format"):
        return read_message(SimpleNamespace(format=message.format, data=bytes(message.data))).rgb
    fields = ("height", "width", "encoding", "is_bigendian", "step")
    same = {name: getattr(message, name) for name in fields}
    return read_message(SimpleNamespace(**same, data=bytes(message.data))).rgb


def played(message, folder):
    return next(read_images(write_bag(folder / "bag", {"/image": [message]})))[1]


def labelled(message, folder):
    item = next(iter(BagPanoramas(write_bag(folder / "bag", {"/image": [message]})).panoramas()))
    if isinstance(item, Panorama):
        return item.image
    raise MtpanoError(item.reason)


doors = pytest.mark.parametrize("door", [live, played, labelled])


def raw(encoding, data, step, height=HEIGHT, width=WIDTH, big_endian=0):
    data = np.frombuffer(bytes(data), np.uint8)
    return T["sensor_msgs/msg/Image"](header(1), height, width, encoding, big_endian, step, data)


def compressed(data, form):
    return T["sensor_msgs/msg/CompressedImage"](header(1), form, np.frombuffer(data, np.uint8))


def luma_and_chroma(rgb):
    """BT.601 in its limited range, colour averaged over 2x2 pixels, by the formulas alone."""
    r, g, b = np.moveaxis(rgb.astype(float), -1, 0) / 255
    y = 16 + 65.481 * r + 128.553 * g + 24.966 * b
    cb = 128 - 37.797 * r - 74.203 * g + 112 * b
    cr = 128 + 112 * r - 93.786 * g - 18.214 * b
    half = [c.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).mean((1, 3)).round() for c in (cb, cr)]
    return y.round().astype(np.uint8), *(c.astype(np.uint8) for c in half)


def planar(encoding, padding=0):
    y, cb, cr = luma_and_chroma(scene())
    apart = encoding in ("i420", "yuv420")
    pairs = (cb, cr) if encoding != "nv21" else (cr, cb)
    planes = [cb, cr] if apart else [np.stack(pairs, -1).reshape(HEIGHT // 2, WIDTH)]
    rows = [np.pad(y, ((0, 0), (0, padding)), constant_values=77)]
    rows += [np.pad(p, ((0, 0), (0, padding // len(planes))), constant_values=77) for p in planes]
    return raw(encoding, b"".join(r.tobytes() for r in rows), WIDTH + padding)


@doors
@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", ["nv12", "nv21", "i420", "yuv420"])
def test_planar_yuv_is_converted(encoding, padding, door, tmp_path):
    got = door(planar(encoding, padding), tmp_path)
    assert np.abs(got.astype(int) - scene()).max() <= 8  # two pixels share their colour


def mosaic(dtype=np.uint8):
    """RGGB of a picture of one colour (200, 120, 40)."""
    cell = np.array([[200, 120], [120, 40]], dtype)
    return np.tile(cell, (HEIGHT // 2, WIDTH // 2)) * dtype(257 if dtype == np.uint16 else 1)


@doors
@pytest.mark.parametrize(
    ("message", "off"),
    [
        (lambda: compressed(encoded("png", mosaic()), "bayer_rggb8; png compressed "), 1),
        (lambda: compressed(encoded("png", mosaic()), "bayer_rggb8; png compressed bayer"), 1),
        (lambda: compressed(encoded("jpg", mosaic(), cv2.IMWRITE_JPEG_QUALITY, 100),
                            "bayer_rggb8; jpeg compressed bayer_rggb8"), 6),
        (lambda: compressed(encoded("png", mosaic(np.uint16)), "bayer_rggb16; png compressed "), 1),
        (lambda: compressed(encoded("png", mosaic()), " BAYER_RGGB8 ; PNG compressed"), 1),
        (lambda: raw("BAYER_RGGB8", mosaic().tobytes(), WIDTH), 1),
        (lambda: raw("bayer_rggb8", mosaic().tobytes(), WIDTH), 1),
        (lambda: raw("bayer_rggb16", mosaic(np.uint16).tobytes(), 2 * WIDTH), 1),
    ],
)  # fmt: skip
def test_a_mosaic_becomes_the_colour_it_sampled(message, off, door, tmp_path):
    inner = door(message(), tmp_path)[4:-4, 4:-4].astype(int)
    assert np.abs(inner - [200, 120, 40]).max() <= off


@doors
@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (lambda: raw("mono8", scene()[..., 1].tobytes(), WIDTH), GREY),
        (lambda: raw("8UC1", scene()[..., 1].tobytes(), WIDTH), GREY),
        (lambda: raw("rgb8", scene().tobytes(), 3 * WIDTH), scene()),
        (lambda: raw("rgb8", scene().tobytes(), 0), scene()),
        (lambda: raw("bgr8", scene()[..., ::-1].tobytes(), 0), scene()),
        (lambda: raw("rgb16", WIDE.astype(">u2").tobytes(), 6 * WIDTH, big_endian=1), scene()),
        (lambda: raw("bgr16", WIDE[..., ::-1].astype("<u2").tobytes(), 6 * WIDTH), scene()),
        (lambda: compressed(encoded("png"), "bayer_rggb8; png compressed bgr8"), scene()),
        (lambda: compressed(encoded("png", scene()[..., 1]), "mono8; png compressed "), GREY),
        (lambda: compressed(encoded("png", scene()[..., 1]), "bayer_rggb8; png compressed mono8"),
         GREY),
        (lambda: raw("png", encoded("png"), 0), scene()),
        (lambda: raw("RGB8 ", scene().tobytes(), 0), scene()),
        (lambda: raw("8uc3", scene()[..., ::-1].tobytes(), 0), scene()),
        (lambda: raw("PNG", encoded("png"), 0), scene()),
    ],
)  # fmt: skip
def test_the_values_are_exact(message, expected, door, tmp_path):
    np.testing.assert_array_equal(door(message(), tmp_path), expected)


H264 = b"\0\0\0\1\x67" + bytes(99)


@doors
@pytest.mark.parametrize(
    ("message", "words"),
    [
        *((lambda e=e: raw(e, bytes(8 * HEIGHT * WIDTH), 8 * WIDTH), "single channel")
          for e in SINGLE_CHANNEL),
        (lambda: raw("rgb9", bytes(9), 3), "'rgb9' is unknown, expected one of rgb8"),
        (lambda: raw("nv24", bytes(9), 3), "'nv24' is unknown"),
        *((lambda s=s: raw("rgb8", scene().tobytes(), s), f"step is {s}, expected at least 384")
          for s in (3, 256)),
        (lambda: raw("rgb8", scene().tobytes() + b"1", 0), "step is 0"),
        (lambda: raw("rgb8", JPEG, 3 * WIDTH), "begin like a JPEG"),
        (lambda: raw("nv12", bytes(HEIGHT * WIDTH), WIDTH), "expected 12288 for 96 rows"),
        (lambda: raw("8UC1", bytes(96 * 128), 128, 96, 128), "96x128.*nv12"),
        (lambda: compressed(H264, "h264"), "is a video stream.*republish|wait for a key frame"),
        (lambda: compressed(H264, "jpeg"), "is a video stream"),
        (lambda: compressed(bytes(99), "theora"), "video stream.*republish"),
        (lambda: compressed(encoded("png"), "16UC1; compressedDepth png"), "single channel"),
        (lambda: compressed(bytes(12) + encoded("png"), "png; compressedDepth"), "single channel"),
        (lambda: compressed(encoded("png"), "16uc1; png"), "single channel"),
        (lambda: compressed(encoded("png", scene()[..., 0].astype(np.uint16)), "mono16; png"),
         "single channel"),
        (lambda: raw("rgb8", bytes(9), 3, 8193, 16386), "at most as many as 8192x16384"),
    ],
)  # fmt: skip
def test_refusals_are_the_same(message, words, door, tmp_path, caplog):
    with pytest.raises((MtpanoError, StopIteration)) as caught:
        door(message(), tmp_path)
    told = f"{caught.value} {caplog.text}".replace("\n", " ")
    assert re.search(words, told), told


@pytest.mark.parametrize("encoding", COLOR_ENCODINGS)
def test_every_encoding_reads_the_same_live_and_recorded(encoding, tmp_path):
    rng = np.random.default_rng(0)
    message = raw(encoding, rng.integers(0, 256, 9 * HEIGHT * WIDTH, np.uint8), 8 * WIDTH + 2)
    message.data = np.resize(message.data, HEIGHT * 3 // 2 * message.step)
    np.testing.assert_array_equal(live(message, None), played(message, tmp_path))


def test_a_message_that_is_damaged_as_a_whole_is_skipped(tmp_path, caplog):
    bag = write_bag(tmp_path / "bag", {"/image": [raw("rgb8", scene().tobytes(), 384)] * 2})
    data = bag / "bag.db3"
    content = data.read_bytes()
    at = content.index(struct.pack("<I", 5) + b"rgb8\0")
    data.write_bytes(content[:at] + b"\xff\xff\xff\x7f" + content[at + 4 :])
    assert len(list(read_images(bag))) == 1
    assert "the message is damaged" in caplog.text
