"""Bags are read the same whatever their storage, and a bad bag says what is wrong with it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from bag_files import T, compressed, header, raw, write_bag
from damaged_pictures import oversized_png

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.messages import read_message
from mtpano_model.pictures.picture import BadPicture
from mtpano_model.shots.bag import find_images, read_images


@pytest.fixture
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (8, 16, 3), dtype=np.uint8) for _ in range(3)]


@pytest.mark.parametrize("storage", ["SQLITE3", "MCAP"])
@pytest.mark.parametrize("make", [raw, compressed])
def test_pixels_and_stamps_survive_every_storage(tmp_path, pictures, storage, make):
    sent = [make(rgb, stamp_ns=7_000_000_123 + i) for i, rgb in enumerate(pictures)]
    bag = write_bag(tmp_path / "bag", {"/image": sent}, storage)
    got = list(read_images(bag))
    assert [stamp for stamp, _ in got] == [7_000_000_123, 7_000_000_124, 7_000_000_125]
    for (_, rgb), expected in zip(got, pictures, strict=True):
        np.testing.assert_array_equal(rgb, expected)
    found = find_images(bag)
    assert (found.topic, found.count) == ("/image", 3)
    assert found.rate == pytest.approx(1.0)


def test_rows_with_padding_and_bgr_are_understood(pictures):
    for message in (raw(pictures[0], padding=5), raw(pictures[0], encoding="bgr8", padding=2)):
        np.testing.assert_array_equal(read_message(message).rgb, pictures[0])


def test_bayer_patterns_have_red_where_they_say():
    # A mosaic of a pure red scene is bright at the red sites only.
    for encoding, (row, column) in {
        "bayer_rggb8": (0, 0),
        "bayer_bggr8": (1, 1),
        "bayer_gbrg8": (1, 0),
        "bayer_grbg8": (0, 1),
    }.items():
        mosaic = np.zeros((8, 8), np.uint8)
        mosaic[row::2, column::2] = 200
        message = T["sensor_msgs/msg/Image"](header(0), 8, 8, encoding, 0, 8, mosaic.ravel())
        red, green, blue = read_message(message, True).rgb[2:-2, 2:-2].reshape(-1, 3).mean(0)
        assert red > 150, encoding
        assert max(green, blue) < 20, encoding


def test_sixteen_bits_keep_their_upper_byte_in_either_byte_order():
    for big_endian, dtype in ((0, "<u2"), (1, ">u2")):
        values = np.array([[[0x12FF, 0x3400, 0x56FF]] * 2], dtype)
        message = T["sensor_msgs/msg/Image"](
            header(0), 1, 2, "rgb16", big_endian, 12, np.frombuffer(values.tobytes(), np.uint8)
        )
        np.testing.assert_array_equal(read_message(message).rgb[0, 1], [0x12, 0x34, 0x56])


def test_a_missing_header_stamp_falls_back_to_the_recording_time(tmp_path, pictures):
    bag = write_bag(tmp_path / "bag", {"/image": [raw(pictures[0])]})
    assert next(iter(read_images(bag)))[0] == 10**9


def test_the_topic_is_chosen_and_a_wrong_one_names_the_right_ones(tmp_path, pictures):
    text = T["std_msgs/msg/String"]("hello")
    two = write_bag(
        tmp_path / "two",
        {"/front": [raw(pictures[0])], "/back": [raw(pictures[1])], "/chatter": [text]},
    )
    with pytest.raises(MtpanoError, match=r"several.*/back.*/front"):
        next(iter(read_images(two)))
    with pytest.raises(MtpanoError, match=r"no image topic '/up'.*/back.*/front"):
        next(iter(read_images(two, "/up")))
    np.testing.assert_array_equal(next(iter(read_images(two, "/back")))[1], pictures[1])
    twins = write_bag(
        tmp_path / "twins",
        {"/cam": [raw(pictures[0])], "/cam/compressed": [compressed(pictures[0])]},
    )
    assert find_images(twins).topic == "/cam"
    none = write_bag(tmp_path / "none", {"/chatter": [text]})
    with pytest.raises(MtpanoError, match=r"no image topic.*/chatter"):
        find_images(none)


def test_a_damaged_picture_is_skipped_with_a_warning(tmp_path, pictures, caplog):
    bad = compressed(pictures[1])
    bad.data = bad.data[:20]
    vast = compressed(pictures[1])
    vast.data = np.frombuffer(oversized_png(), np.uint8)
    with pytest.raises(BadPicture, match="32768x65536"):
        read_message(vast)
    short = raw(pictures[1])
    short.data = short.data[:100]
    bag = write_bag(tmp_path / "a", {"/image": [compressed(pictures[0]), bad]})
    assert len(list(read_images(bag))) == 1
    bag = write_bag(tmp_path / "b", {"/image": [short, raw(pictures[2])]})
    assert len(list(read_images(bag))) == 1
    assert caplog.text.count("skipped a picture of /image") == 2


def test_an_encoding_that_is_no_picture_is_named(tmp_path, pictures):
    message = raw(pictures[0])
    message.encoding = "32FC1"
    bag = write_bag(tmp_path / "bag", {"/depth": [message]})
    with pytest.raises(MtpanoError, match=r"'32FC1'.*rgb8"):
        list(read_images(bag))


@pytest.mark.parametrize("storage", ["SQLITE3", "MCAP"])
def test_a_truncated_or_missing_bag_is_one_clear_error(tmp_path, pictures, storage):
    bag = write_bag(tmp_path / "bag", {"/image": [raw(p) for p in pictures]}, storage)
    data = next(p for p in bag.iterdir() if p.suffix in (".db3", ".mcap"))
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    with pytest.raises(
        MtpanoError, match=r"cannot be read.*repair it with `(mcap recover|sqlite3)"
    ):
        list(read_images(bag))
    with pytest.raises(MtpanoError, match="does not exist"):
        list(read_images(tmp_path / "nothing"))


def test_reading_bags_leaves_torch_unloaded():
    code = "import mtpano_model.shots.bag, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
