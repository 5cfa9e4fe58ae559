"""Bags of H.264 and H.265 give their whole pictures at every door, and say what was lost."""

from __future__ import annotations

import re

import numpy as np
import pytest
from bag_files import compressed, raw, write_bag
from fake_model import write_fake_model
from test_video import encode, psnr
from video_bags import FORMS, SECOND, image, video_bag

from mtpano_model.commands import main
from mtpano_model.data.panorama import Panorama
from mtpano_model.data.rosbag import BagPanoramas
from mtpano_model.errors import MtpanoError
from mtpano_model.shots.bag import find_images, read_images
from mtpano_model.shots.shot import open_shots
from mtpano_ros.tools.sources import open_source


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("form", FORMS)
def test_a_stream_is_read_from_every_type_of_message(form, codec, tmp_path) -> None:
    packets = encode(codec, 12, gop=5)
    bag = video_bag(tmp_path / "bag", packets, range(12), form, codec)
    found = find_images(bag)
    assert (found.topic, found.count) == ("/camera/video", 12)
    pictures = dict(read_images(bag))
    assert list(pictures) == [(n + 1) * SECOND for n in range(12)]
    assert min(psnr(picture, n) for n, picture in enumerate(pictures.values())) > 30


def shown_by(door: str, bag, tmp_path) -> list[int]:
    """Numbers of the pictures that a door shows of a bag; of the player, how many."""
    if door == "label":
        items = list(BagPanoramas(bag).panoramas())
        assert all(isinstance(item, Panorama) for item in items)
        return [int(item.name.split("/")[1]) // SECOND - 1 for item in items]
    if door == "predict":
        return [int(shot.name) // SECOND - 1 for shot in open_shots(bag).every]
    return list(range(len(list(open_source(bag).frames()))))


@pytest.mark.parametrize("door", ["label", "predict", "player"])
def test_what_is_lost_is_left_out_up_to_the_next_key_frame_and_counted(
    door, tmp_path, caplog
) -> None:
    packets = encode("h264", 40, gop=10)
    # From the middle of a group, and without 13 and 27.
    numbers = [n for n in range(4, 40) if n not in (13, 27)]
    bag = video_bag(tmp_path / f"bag_{door}", packets, numbers)
    whole = [10, 11, 12, *range(20, 27), *range(30, 40)]
    shown = shown_by(door, bag, tmp_path)
    assert len(shown) == len(whole)
    assert door == "player" or shown == whole
    assert re.search(r"20 of 34 packets of video gave a picture; 14 wait for a key", caplog.text)


def test_every_nth_whole_picture_is_taken(tmp_path) -> None:
    bag = video_bag(tmp_path / "bag", encode("h264", 20, gop=5), range(20))
    assert [int(shot.name) // SECOND for shot in open_shots(bag, every=6).every] == [1, 7, 13, 19]


def test_pictures_come_before_video_and_a_topic_may_be_named(tmp_path) -> None:
    packets = encode("h264", 3)
    picture = np.zeros((32, 64, 3), np.uint8)
    video = [image(packet, n + 1) for n, packet in enumerate(packets)]
    bag = write_bag(tmp_path / "bag", {"/pano": [raw(picture)], "/pano/h264": video})
    assert find_images(bag).topic == "/pano"
    assert len(list(read_images(bag, "/pano/h264"))) == 3
    two = write_bag(tmp_path / "two", {"/a": video, "/b": video, "/c": [compressed(picture)]})
    assert find_images(two).topic == "/c"
    streams = write_bag(tmp_path / "streams", {"/a": video, "/b": video})
    with pytest.raises(MtpanoError, match="several image topics"):
        find_images(streams)


@pytest.mark.parametrize("codec", ["av1", "vp9"])
def test_another_codec_is_refused_in_a_sentence(codec, tmp_path) -> None:
    bag = video_bag(tmp_path / "bag", [b"\0\0\0\1" + bytes(20)], [0], "CompressedVideo", codec)
    with pytest.raises(MtpanoError, match=rf"codec '{codec}', expected h264 or h265"):
        find_images(bag)


def test_b_frames_are_told_and_counted(tmp_path, caplog) -> None:
    bag = video_bag(tmp_path / "bag", encode("h264", 30, bframes=2), range(30))
    assert len(list(read_images(bag))) < 5
    assert "bf=0" in caplog.text
    assert "stream with B frames" in caplog.text


def test_predict_takes_a_bag_of_video(tmp_path, capsys) -> None:
    model = write_fake_model(tmp_path / "m.onnx")
    bag = video_bag(tmp_path / "bag", encode("h264", 4), range(4))
    out = tmp_path / "out"
    arguments = ["--model", str(model), "--out", str(out), "--every", "2", "--no-panels"]
    assert main(["predict", str(bag), *arguments]) == 0
    assert {path.name for path in out.glob("depth_*")} == {
        f"depth_{SECOND}.png",
        f"depth_{3 * SECOND}.png",
    }
    assert "2 of 2 pictures" in capsys.readouterr().out
