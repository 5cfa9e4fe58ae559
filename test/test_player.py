"""The player as a process: what a subscriber receives, when, and how it ends."""

from __future__ import annotations

import json
import signal
import threading
import time
import uuid
from unittest.mock import Mock

import cv2
import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy")
from processes import running  # noqa: E402
from rclpy.qos import QoSProfile, qos_profile_sensor_data  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

from mtpano_model.errors import MtpanoError  # noqa: E402
from mtpano_ros.tools.player import main, wide_size  # noqa: E402
from mtpano_ros.tools.sending import repeat, wait_for_subscribers  # noqa: E402
from mtpano_ros.tools.sources import Source  # noqa: E402

PLAYER = "mtpano_ros.tools.player"


class Listener:
    """Subscribes to one topic of its own random name and notes what comes, and when."""

    def __init__(self, message_type, suffix: str, qos: QoSProfile) -> None:
        self.topic = f"/t{uuid.uuid4().hex}"
        self.messages: list = []
        self.times: list[float] = []
        self.node = rclpy.create_node("listener")
        self.node.create_subscription(message_type, self.topic + suffix, self._note, qos)

    def _note(self, message) -> None:
        self.times.append(time.monotonic())
        self.messages.append(message)

    def collect(self, count: int, timeout: float = 20.0) -> list:
        deadline = time.monotonic() + timeout
        while len(self.messages) < count and time.monotonic() < deadline:
            rclpy.spin_once(self.node, timeout_sec=0.1)
        assert len(self.messages) >= count, (
            f"not within {timeout} s: {count} messages, {len(self.messages)} came"
        )
        return self.messages


@pytest.fixture
def listen():
    rclpy.init()
    listeners = []

    def make(message_type=Image, suffix="", qos=qos_profile_sensor_data) -> Listener:
        listeners.append(Listener(message_type, suffix, qos))
        return listeners[-1]

    yield make
    for listener in listeners:
        listener.node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def folder(tmp_path):
    """Three pictures whose red value is their number."""
    for number in (1, 2, 3):
        rgb = np.full((32, 64, 3), (number, 50, 150), np.uint8)
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), rgb[..., ::-1])
    return tmp_path


def test_a_looped_folder_arrives_whole_in_order_at_the_rate_asked_for(listen, folder, tmp_path):
    listener = listen()
    report = tmp_path / "report.json"
    before = time.time()
    with running(
        PLAYER, folder, "--rate", 20, "--frames", 7, "--frame-id", "cam", "--report", report,
        "--wait-for-subscribers", 1, "--ros-args", "-r", f"image:={listener.topic}",
    ) as player:  # fmt: skip
        messages = listener.collect(7)
        assert player.wait() == 0, player.output
    assert [message.data[0] for message in messages] == [1, 2, 3, 1, 2, 3, 1]
    for message in messages:
        assert (message.height, message.width, message.step) == (32, 64, 192)
        assert (message.encoding, message.header.frame_id) == ("rgb8", "cam")
        assert bytes(message.data[1:3]) == bytes([50, 150])
        assert before < message.header.stamp.sec + message.header.stamp.nanosec * 1e-9 < time.time()
    stamps = [m.header.stamp.sec + m.header.stamp.nanosec * 1e-9 for m in messages]
    assert np.median(np.diff(stamps)) == pytest.approx(1 / 20, rel=0.1)
    assert json.loads(report.read_text())["sent"] == 7


def test_jpeg_goes_out_beside_the_remapped_name_and_once_means_once(listen, folder):
    listener = listen(CompressedImage, "/compressed")
    with running(
        PLAYER, folder, "--compressed", "--once", "--size", "128x64", "--rate", 50,
        "--wait-for-subscribers", 1, "--ros-args", "-r", f"image:={listener.topic}",
    ) as player:  # fmt: skip
        messages = listener.collect(3)
        assert player.wait() == 0, player.output
    assert len(messages) == 3
    for number, message in enumerate(messages, 1):
        assert "jpeg" in message.format
        rgb = cv2.imdecode(np.frombuffer(message.data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert rgb.shape == (64, 128, 3)
        assert rgb.mean((0, 1)) == pytest.approx([number, 50, 150], abs=4)


@pytest.mark.parametrize(("name", "codec"), [("h264", "h264"), ("h265", "hevc")])
def test_video_is_sent_as_the_library_wants_it(listen, tmp_path, name, codec):
    av = pytest.importorskip("av")
    from test_video import decoder, psnr, scene

    if {"h264": "libx264", "h265": "libx265"}[name] not in av.codecs_available:
        pytest.skip("this PyAV has no such encoder")
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), scene(number)[..., ::-1])
    listener = listen(CompressedImage, "/compressed")
    with running(
        PLAYER, tmp_path, "--video", name, "--rate", 20, "--frames", 10,
        "--wait-for-subscribers", 1, "--ros-args", "-r", f"image:={listener.topic}",
    ) as player:  # fmt: skip
        messages = listener.collect(10)
        assert player.wait() == 0, player.output
    assert {message.format for message in messages} == {codec}
    one, told = decoder(codec)
    for number, message in enumerate(messages):
        (picture,) = one.feed(bytes(message.data), number)
        assert psnr(picture.rgb(), number % 4) > 30
    assert told == []


def test_large_images_reach_a_best_effort_subscriber_one_for_one(listen):
    listener = listen(qos=QoSProfile(depth=5, reliability=qos_profile_sensor_data.reliability))
    with running(
        PLAYER, "--size", "2048x1024", "--rate", 10, "--frames", 10, "--wait-for-subscribers", 1,
        "--ros-args", "-r", f"image:={listener.topic}",
    ) as player:  # fmt: skip
        listener.collect(10)
        assert player.wait() == 0, player.output
    assert "sent 10 images" in player.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_quietly(folder, number):
    with running(PLAYER, folder, "--rate", 100) as player:
        player.wait_for("playing 3 images")
        player.assert_ends_cleanly(number)
    with running(PLAYER, folder, "--wait-for-subscribers", 1) as waiting:
        waiting.wait_for("waiting for")
        waiting.assert_ends_cleanly(number)


@pytest.mark.parametrize(
    ("counts", "looks"),
    [([1, 1], 2), ([0, 1, 1], 3), ([1, 0, 0, 1, 1], 5), ([2, 0, 1, 1], 4)],
)
def test_a_subscriber_that_only_looks_in_is_not_played_to(monkeypatch, counts, looks):
    """As a node without listeners does, whose subscription is refused or taken back at once."""
    monkeypatch.setattr("mtpano_ros.tools.sending.SETTLE_SECONDS", 0.01)
    seen = iter(counts)
    publisher = Mock(get_subscription_count=lambda: next(seen))
    spinner = Mock(stop=threading.Event())
    assert wait_for_subscribers(spinner, publisher, 1, timeout=30)
    assert looks == len(counts) - len(list(seen))


def test_mistakes_are_one_sentence_and_status_1(folder, capsys):
    for wrong, expected in {
        ("/no/such/place",): "'/no/such/place' does not exist",
        (str(folder), "--size", "big"): "size 'big' is not HEIGHTxWIDTH",
        (str(folder), "--rate", "0"): "--rate 0.0: expected",
        (str(folder), "--quality", "101"): "--quality 101: expected",
        (str(folder), "--timeout", "nan"): "--timeout nan: expected",
        (str(folder), "--video", "h264", "--compressed"): "give one of them",
        (str(folder), "--rig", "/no/rig.yaml"): "cannot read the rig file",
        ("rtsp://user:secret@127.0.0.1:9/x",): "'rtsp://127.0.0.1:9/x' cannot be read",
        ("/dev/video255",): "the camera /dev/video255 cannot be opened",
        (str(folder), "--wait-for-subscribers", "1", "--timeout", "0.2"): "0 of 1 subscribers",
    }.items():
        assert main([*wrong]) == 1
        error = capsys.readouterr().err
        assert expected in error
        assert "Traceback" not in error


def test_a_size_means_the_same_in_either_order():
    assert wide_size("512x1024") == wide_size("1024x512") == (512, 1024)


def test_short_inputs_are_decoded_once_and_long_ones_every_time():
    passes = []

    def frames():
        passes.append(1)
        return iter([np.zeros((2, 4, 3), np.uint8)] * 2)

    class Message:
        def __init__(self, rgb):
            self.data = rgb.tobytes()

    source = Source("two images", None, frames)
    short = repeat(source, Message, once=False, keep_bytes=48)
    assert len([next(short) for _ in range(9)]) == 9
    assert len(passes) == 1
    long = repeat(source, Message, once=False, keep_bytes=47)
    assert len([next(long) for _ in range(9)]) == 9
    assert len(passes) == 1 + 5
    assert len(list(repeat(source, Message, once=True))) == 2


@pytest.mark.parametrize("once", [False, True])
def test_a_source_that_gives_nothing_ends_the_player(once):
    source = Source("4 moments of a rig in bag", None, lambda: iter([]))
    with pytest.raises(MtpanoError, match="4 moments of a rig in bag: none of it can be played"):
        next(repeat(source, lambda rgb: rgb, once))
