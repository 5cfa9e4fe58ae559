"""Images, folders, videos and bags become the same kind of stream, or one clear sentence."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_rosbag import compressed, raw, write_bag

from mtpano_model.command_line import parsed
from mtpano_model.errors import MtpanoError
from mtpano_ros.tools.player import Args
from mtpano_ros.tools.prefetch import Prefetcher
from mtpano_ros.tools.sources import PANORAMAS, open_source


def picture(value: int, height: int = 8, width: int = 16) -> np.ndarray:
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[..., 0], rgb[..., 1] = value, 255 - value
    return rgb


def save(path, rgb) -> None:
    assert cv2.imwrite(str(path), rgb[..., ::-1])


def test_the_bundled_panoramas_are_five_and_equirectangular():
    frames = list(open_source(PANORAMAS).frames())
    assert [frame.shape for frame in frames] == [(512, 1024, 3)] * 5
    assert (PANORAMAS / "README.md").read_text().count("CC0")


def test_an_image_keeps_its_colours_and_channel_order(tmp_path):
    save(tmp_path / "raum größe.png", picture(200))
    (frame,) = open_source(tmp_path / "raum größe.png").frames()
    np.testing.assert_array_equal(frame, picture(200))


def test_a_folder_is_played_in_natural_order_and_again(tmp_path):
    for number in (10, 2, 1):
        save(tmp_path / f"frame_{number}.png", picture(number))
    (tmp_path / "notes.txt").write_text("no image")
    source = open_source(tmp_path)
    for _ in range(2):
        assert [frame[0, 0, 0] for frame in source.frames()] == [1, 2, 10]


def test_a_broken_image_in_a_folder_is_skipped_and_told(tmp_path, caplog):
    save(tmp_path / "a.png", picture(1))
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff nonsense")
    assert len(list(open_source(tmp_path).frames())) == 1
    assert "b.jpg" in caplog.text
    (tmp_path / "a.png").unlink()
    with pytest.raises(MtpanoError, match="none of the 1 images"):
        list(open_source(tmp_path).frames())


def test_a_video_gives_its_frames_and_its_rate(tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 12.0, (64, 32))
    for value in (40, 120, 200):
        writer.write(picture(value, 32, 64)[..., ::-1])
    writer.release()
    source = open_source(path)
    assert source.rate == pytest.approx(12.0)
    for _ in range(2):
        reds = [float(frame[..., 0].mean()) for frame in source.frames()]
        assert reds == pytest.approx([40, 120, 200], abs=8)  # JPEG


@pytest.mark.parametrize("make", [raw, compressed])
def test_a_bag_plays_its_images_at_the_rate_they_were_recorded(tmp_path, make):
    images = [picture(value) for value in (1, 2, 3)]
    bag = write_bag(tmp_path / "bag", {"/camera": [make(image) for image in images]}, "MCAP")
    source = open_source(bag)
    assert source.rate == pytest.approx(1.0)  # write_bag records one message a second
    for frame, image in zip(source.frames(), images, strict=True):
        np.testing.assert_array_equal(frame, image)
    with pytest.raises(MtpanoError, match=r"'/front'.*/camera"):
        open_source(bag, "/front")


def test_wrong_inputs_say_what_was_expected(tmp_path):
    with pytest.raises(MtpanoError, match="does not exist"):
        open_source(tmp_path / "missing.jpg")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(MtpanoError, match="holds no picture"):
        open_source(empty)
    (tmp_path / "video.mp4").write_bytes(b"this is no video")
    with pytest.raises(MtpanoError, match=r"cannot be read as an image, a video or a rosbag2"):
        open_source(tmp_path / "video.mp4")
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(MtpanoError, match=r"cut.jpg"):
        open_source(tmp_path / "cut.jpg")


@pytest.mark.parametrize("name", ["~nosuchuser/bag", "x" * 300, "a\0b"])
def test_a_path_that_cannot_be_looked_for_does_not_exist(name):
    with pytest.raises(MtpanoError, match="does not exist"):
        open_source(Path(name))


def test_prefetching_keeps_order_stays_ahead_and_passes_errors_on():
    made = []

    def items():
        for number in range(10):
            made.append(number)
            yield number
        raise MtpanoError("the disk is gone")

    never = threading.Event()
    with Prefetcher(items(), depth=3) as prefetcher:
        deadline = time.monotonic() + 5
        while len(made) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert made == [0, 1, 2, 3]  # three wait, one is in its hand
        assert [prefetcher.take(never) for _ in range(10)] == list(range(10))
        with pytest.raises(MtpanoError, match="disk"):
            prefetcher.take(never)


def test_prefetching_ends_with_its_reader():
    threads = threading.active_count()
    stop = threading.Event()
    with Prefetcher(iter(int, 1)) as endless:
        assert endless.take(stop) == 0
        stop.set()
        assert endless.take(stop) is None
    assert threading.active_count() == threads


def test_an_empty_path_is_not_the_folder_here():
    with pytest.raises(MtpanoError, match="'input' is empty"):
        parsed(Args, "player", ["", "--rate", "5"])
    assert parsed(Args, "player", [".", "--frame-id", ""]).input == "."
