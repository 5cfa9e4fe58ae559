"""Camera messages -> panoramas: every encoding, every layout, every way to be wrong."""

from __future__ import annotations

import array
import struct

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from node_harness import compressed, gradient, image, jpeg

from mtpano_model.pictures.messages import read_message
from mtpano_model.pictures.picture import BadPicture
from mtpano_ros.watch.diagnostics import SKIP_REASONS


def rgb_of(panorama):
    return panorama.pixels if panorama.order == "rgb" else panorama.pixels[..., ::-1]


def padded(message, padding):
    """The same image with `padding` bytes of noise after every row."""
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    noise = np.full((message.height, padding), 171, np.uint8)
    message.data = array.array("B", np.hstack([rows, noise]).tobytes())
    message.step += padding
    return message


def alpha(picture):
    return np.dstack([picture, np.full(picture.shape[:2], 77, np.uint8)])


@pytest.mark.parametrize("height", [64, 33])
@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("rgb8", lambda rgb: rgb),
        ("bgr8", lambda rgb: rgb[..., ::-1]),
        ("8UC3", lambda rgb: rgb[..., ::-1]),
        ("rgba8", alpha),
        ("bgra8", lambda rgb: alpha(rgb[..., ::-1])),
        ("8UC4", lambda rgb: alpha(rgb[..., ::-1])),
        ("rgb16", lambda rgb: rgb.astype(np.uint16) * 257),
        ("bgr16", lambda rgb: rgb[..., ::-1].astype(np.uint16) * 257),
    ],
)
def test_colours_survive_every_encoding(encoding, encode, padding, height):
    picture = gradient(height)
    message = padded(image(np.ascontiguousarray(encode(picture)), encoding=encoding), padding)
    panorama = read_message(message)
    assert panorama.size == (height, 2 * height)
    assert np.array_equal(rgb_of(panorama), picture)


@pytest.mark.parametrize("padding", [0, 3])
def test_grey_becomes_three_equal_channels(padding):
    grey = gradient()[..., 1]
    panorama = read_message(padded(image(grey, encoding="mono8"), padding))
    assert np.array_equal(rgb_of(panorama), np.stack([grey] * 3, axis=-1))


def test_big_endian_values_are_turned():
    picture = gradient()
    message = image(picture.astype(">u2") * 257, encoding="rgb16", is_bigendian=1)
    assert np.array_equal(rgb_of(read_message(message)), picture)


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
def test_yuv_keeps_grey_and_brightness(encoding):
    luma = np.full((64, 128), 120, np.uint8)
    neutral = np.full((64, 128), 128, np.uint8)
    pair = (neutral, luma) if encoding in ("yuv422", "uyvy") else (luma, neutral)
    panorama = read_message(padded(image(np.stack(pair, axis=-1), encoding=encoding), 4))
    # BT.601: (120 - 16) * 255 / 219
    assert np.abs(rgb_of(panorama).astype(int) - 121).max() <= 1


@pytest.mark.parametrize(
    ("encoding", "first_row", "second_row"),
    [
        ("bayer_rggb8", "rg", "gb"),
        ("bayer_bggr8", "bg", "gr"),
        ("bayer_gbrg8", "gb", "rg"),
        ("bayer_grbg8", "gr", "bg"),
    ],
)
def test_bayer_patterns_give_the_colour_they_sampled(encoding, first_row, second_row):
    value = {"r": 200, "g": 120, "b": 40}
    cell = np.array([[value[c] for c in first_row], [value[c] for c in second_row]], np.uint8)
    panorama = read_message(image(np.tile(cell, (32, 64)), encoding=encoding))
    inner = rgb_of(panorama)[4:-4, 4:-4]
    assert np.abs(inner.astype(int) - [200, 120, 40]).max() <= 1


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8"])
def test_three_byte_images_are_views_of_the_message(encoding):
    message = padded(image(encoding=encoding), 7)
    panorama = read_message(message)
    message.data[3 * 128 + 7] = 250  # first byte of the second row
    assert panorama.pixels[1, 0, 0] == 250


@pytest.mark.parametrize(
    ("changes", "reason", "told"),
    [
        ({"encoding": "rgb9"}, "encoding", "'rgb9'.*expected one of rgb8"),
        ({"encoding": ""}, "encoding", "''"),
        ({"encoding": "mono16"}, "single_channel", "'mono16'.*depth topic"),
        ({"encoding": "16UC1"}, "single_channel", "'16UC1'.*depth topic"),
        ({"encoding": "32FC1"}, "single_channel", "'32FC1'.*depth topic"),
        ({"data": array.array("B", bytes(100))}, "data", "100 bytes, expected 24576"),
        ({"data": array.array("B")}, "data", "0 bytes, expected 24576"),
        ({"step": 383}, "step", "383, expected at least 384"),
        ({"step": 0, "data": array.array("B", bytes(24577))}, "step", "0, expected at least 384"),
        ({"width": 0}, "size", "64x0"),
        ({"height": 0}, "size", "0x128"),
        ({"height": 0, "width": 0}, "size", "0x0"),
        ({"height": 2**31, "width": 2**32 - 2}, "size", "2147483648x4294967294"),
        ({"height": 63}, "aspect", "63x128.*expected an equirectangular 2:1"),
    ],
)
def test_bad_images_name_the_value_and_what_was_expected(changes, reason, told):
    with pytest.raises(BadPicture, match=told) as caught:
        read_message(image(**changes))
    assert caught.value.reason == reason
    assert reason in SKIP_REASONS
    assert "\n" not in str(caught.value)


def test_other_aspects_are_taken_when_allowed():
    square = np.ascontiguousarray(gradient()[:, :64])
    assert read_message(image(square), allow_non_2to1=True).size == (64, 64)


def test_an_odd_width_of_pairs_is_refused_with_the_remedy():
    odd = np.zeros((33, 65, 2), np.uint8)  # yuv422 has pairs of columns
    with pytest.raises(BadPicture, match=r"33x65.*'yuv422'.*publish rgb8") as caught:
        read_message(image(odd, encoding="yuv422"), allow_non_2to1=True)
    assert caught.value.reason == "encoding"


# --- compressed -----------------------------------------------------------------------------------


def png(picture):
    return cv2.imencode(".png", picture)[1].tobytes()


def test_png_is_exact_and_jpeg_close():
    picture = gradient()
    lossless = read_message(compressed(png(picture[..., ::-1]), form="bgr8; png compressed"))
    assert np.array_equal(rgb_of(lossless), picture)
    close = read_message(compressed(jpeg(picture)))
    assert np.abs(rgb_of(close).astype(int) - picture).mean() < 3
    assert close.size == (64, 128)


def test_grey_jpeg_becomes_three_channels():
    data = cv2.imencode(".jpg", gradient()[..., 1])[1].tobytes()
    assert read_message(compressed(data, form="mono8; jpeg compressed ")).pixels.shape == (
        64,
        128,
        3,
    )


def test_padding_after_the_end_of_a_jpeg_is_no_damage():
    assert read_message(compressed(jpeg(gradient()) + bytes(1000))).size == (64, 128)


@pytest.mark.parametrize(
    ("needed", "decoded"),
    [((256, 512), (256, 512)), ((255, 511), (256, 512)), ((257, 514), (512, 1024)),
     ((100, 200), (128, 256)), ((1, 2), (64, 128)), ((512, 1024), (512, 1024))],
)  # fmt: skip
def test_jpeg_is_decoded_no_larger_than_needed(needed, decoded):
    picture = gradient(512)
    panorama = read_message(compressed(jpeg(picture)), needed=lambda size: needed)
    assert panorama.pixels.shape[:2] == decoded
    assert panorama.size == (512, 1024)
    reference = cv2.resize(picture, decoded[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(rgb_of(panorama).astype(int) - reference).mean() < 3


JPEG = jpeg(gradient())
PNG = png(gradient())


@pytest.mark.parametrize(
    ("data", "form", "reason"),
    [
        (b"", "jpeg", "compressed"),
        (b"GIF89a not for cameras", "gif", "compressed"),
        (bytes(1000), "jpeg", "compressed"),
        (JPEG[: len(JPEG) // 2], "jpeg", "compressed"),
        (JPEG[:-2], "jpeg", "compressed"),
        (JPEG[:100], "jpeg", "compressed"),
        (JPEG[:2], "jpeg", "compressed"),
        (JPEG[:20] + bytes(200) + JPEG[220:], "jpeg", "compressed"),
        (PNG[: len(PNG) // 2], "png", "compressed"),
        (PNG[:20], "png", "compressed"),
        (PNG[:60] + bytes(400) + PNG[460:], "png", "compressed"),
        (png(np.zeros((64, 128), np.uint16)), "mono16; png compressed ", "single_channel"),
        (png(np.zeros((64, 128), np.uint16)), "png", "single_channel"),
        (PNG, "16UC1; compressedDepth png", "single_channel"),
        (jpeg(np.ascontiguousarray(gradient()[:, :64])), "jpeg", "aspect"),
    ],
)
def test_damaged_pictures_are_refused(data, form, reason, capfd):
    with pytest.raises(BadPicture, match="expected") as caught:
        read_message(compressed(data, form=form))
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)


def test_a_header_that_claims_too_much_allocates_nothing():
    position = JPEG.index(b"\xff\xc0")
    huge = JPEG[: position + 5] + struct.pack(">HH", 32000, 64000) + JPEG[position + 9 :]
    with pytest.raises(BadPicture, match="32000x64000") as caught:
        read_message(compressed(huge))
    assert caught.value.reason == "size"
