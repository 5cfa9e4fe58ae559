"""Which topic of a bag is played, at which rate, and what is said where none can be."""

from __future__ import annotations

import numpy as np
import pytest
from bag_doors import TEN, storage_file
from bag_files import STORE, T, compressed, header, raw, rosbag2, write_bag
from odd_pictures import scene

from mtpano_model.data.rosbag import BagPanoramas
from mtpano_model.errors import MtpanoError
from mtpano_model.shots.bag import find_images, read_images
from mtpano_ros.tools.sources import open_source


def video(form: str = "h264"):
    data = np.frombuffer(b"\0\0\0\1\x67" + bytes(200), np.uint8)
    return T["sensor_msgs/msg/CompressedImage"](header(1), form, data)


def depth():
    values = np.zeros((64, 128), np.float32)
    return T["sensor_msgs/msg/Image"](header(1), 64, 128, "32FC1", 0, 512,
                                      np.frombuffer(values.tobytes(), np.uint8))  # fmt: skip


@pytest.mark.parametrize(
    "others",
    [{"/image/h264": [video()] * 3}, {"/image/theora": [video("theora")]}, {"/depth": [depth()]},
     {"/image/compressed": [compressed(scene())]}, {"/a/x": [video("hevc")], "/b": [depth()]}],
)  # fmt: skip
def test_video_depth_and_twins_are_no_second_image_topic(others, tmp_path):
    bag = write_bag(tmp_path / "bag", {"/image": TEN, **others})
    assert find_images(bag).topic == "/image"


def test_a_bag_of_another_codec_alone_says_once_what_to_do(tmp_path, caplog):
    bag = write_bag(tmp_path / "bag", {"/image/compressed": [video("theora")] * 30})
    for topic in (None, "/image/compressed"):
        with pytest.raises(
            MtpanoError, match=r"/image/compressed.*video stream.*'theora'.*republish"
        ):
            list(read_images(bag, topic))
    assert not caplog.records


def test_pictures_that_are_all_damaged_are_told_in_two_lines(tmp_path, caplog):
    cut = raw(scene())
    cut.data = cut.data[:100]
    assert list(read_images(write_bag(tmp_path / "bag", {"/image": [cut] * 30}))) == []
    assert len(caplog.records) == 2
    assert "skipped 30 pictures" in caplog.text


def test_the_rate_is_the_topic_s_own(tmp_path):
    """A camera at 10 Hz for two seconds, paused, in a bag of a minute."""
    kind, other = TEN[0].__msgtype__, "std_msgs/msg/String"
    with rosbag2.Writer(tmp_path / "bag", version=9) as writer:
        camera = writer.add_connection("/image", kind, typestore=STORE)
        chatter = writer.add_connection("/chatter", other, typestore=STORE)
        text = STORE.serialize_cdr(T[other]("hello"), other)
        for second in range(60):
            writer.write(chatter, second * 10**9, text)
        for number in range(20):
            stamp = 5 * 10**9 + number * 10**8 + (30 * 10**9 if number > 9 else 0)
            writer.write(camera, stamp, STORE.serialize_cdr(TEN[number % 10], kind))
    assert open_source(tmp_path / "bag").rate == pytest.approx(10)


def test_an_empty_topic_is_said(tmp_path):
    with rosbag2.Writer(tmp_path / "bag", version=9) as writer:
        writer.add_connection("/image", TEN[0].__msgtype__, typestore=STORE)
    for topic in (None, "/image"):
        with pytest.raises(MtpanoError, match=r"/image.*empty"):
            find_images(tmp_path / "bag", topic)


def test_a_folder_of_a_bag_without_its_recording_says_so(tmp_path):
    bag = write_bag(tmp_path / "bag", {"/image": TEN})
    storage_file(bag).unlink()
    with pytest.raises(MtpanoError, match="holds no recording"):
        BagPanoramas(bag)
