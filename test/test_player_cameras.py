"""Cameras that the player reads itself: stamps, whole pictures, and connecting again."""

from __future__ import annotations

import threading
import time
from itertools import islice
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")
from mtpano_model.errors import MtpanoError
from mtpano_ros.tools import lenses, live, player
from mtpano_ros.tools.forms import raw_message
from mtpano_ros.tools.live import CaptureClock, Taken, is_live, live_pictures
from mtpano_ros.tools.prefetch import Prefetcher
from mtpano_ros.tools.sending import send_live, stamping

MS = 1_000_000


@pytest.mark.parametrize(
    ("place", "expected"),
    [("rtsp://camera/x", True), ("RTSPS://u:p@h:554/x", True), ("http://h/x.mjpg", True),
     ("/dev/video0", True), ("uvc:12", True), ("/data/video0", False), ("bag", False),
     ("C:/x", False), ("/dev/video", False)],
)  # fmt: skip
def test_what_names_a_camera(place, expected) -> None:
    assert is_live(place) == expected


def test_stamps_are_as_even_as_the_camera_and_never_after_the_arrival() -> None:
    rng = np.random.default_rng(0)
    own = np.arange(300) * 33 * MS
    arrived = 5000 * MS + own + rng.integers(2 * MS, 40 * MS, 300)
    clock = CaptureClock()
    stamps = np.array([clock.stamp(int(a), int(b)) for a, b in zip(own, arrived, strict=True)])
    assert (stamps <= arrived).all()
    assert np.abs(np.diff(stamps[100:]) - 33 * MS).max() < MS
    assert np.abs(stamps[100:] - own[100:] - 5002 * MS).max() < 2 * MS


def test_stamps_follow_a_clock_that_drifts_and_grow_without_one() -> None:
    own = np.arange(100_000) * 33 * MS
    arrived = (own * (1 + 5e-5)).astype(np.int64) + 10 * MS  # 165 ms in 55 minutes
    clock = CaptureClock()
    stamps = [clock.stamp(int(a), int(b)) for a, b in zip(own, arrived, strict=True)]
    assert abs(stamps[-1] - arrived[-1]) < 5 * MS
    plain = CaptureClock()
    assert [plain.stamp(None, t) for t in (5, 9, 9, 7)] == [5, 9, 10, 11]


@pytest.mark.parametrize("jump", [-3600, -10, 10, 3600])
@pytest.mark.parametrize("which", ["own", "arrived"])
def test_stamps_follow_a_clock_that_is_set(which: str, jump: int) -> None:
    clock = CaptureClock()
    for number in range(60):
        own, arrived = number * 33 * MS, (5000 + 33 * number) * MS + 10**13
        if number >= 30:
            own += jump * 1000 * MS * (which == "own")
            arrived += jump * 1000 * MS * (which == "arrived")
        stamp = clock.stamp(own, arrived)
    assert abs(stamp - arrived) < 5 * MS


def test_pictures_are_sent_after_the_clock_was_set_back() -> None:
    sent = []
    publisher = SimpleNamespace(publish=lambda message: sent.append(message.header.stamp))
    spinner = SimpleNamespace(stop=threading.Event(), spin_for=lambda seconds: None)
    stamps = [1000, 1010, 1100, 10, 20, 110]
    taken = iter([Taken(np.zeros((2, 4, 3), np.uint8), stamp * MS) for stamp in stamps])
    camera = SimpleNamespace(take=lambda stop: next(taken, None), dropped=0)
    send_live(spinner, stamping(publisher, "camera"), camera, raw_message, 10.0, 0)
    assert [round(t.sec * 1e3 + t.nanosec / 1e6) for t in sent] == [1000, 1100, 10, 110]


@pytest.mark.parametrize(("form", "codec"), [("flv", "h264"), ("mp4", "h264"), ("mkv", "hevc")])
def test_streams_that_are_no_byte_streams_are_read(form: str, codec: str, tmp_path) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed (extra video)")
    path = tmp_path / f"camera.{form}"
    more = {"x265-params": "log-level=none:bframes=0:pools=1"} if codec == "hevc" else {}
    with av.open(str(path), "w") as container:
        stream = container.add_stream({"h264": "libx264", "hevc": "libx265"}[codec], rate=30)
        stream.height, stream.width, stream.pix_fmt, stream.gop_size = 32, 64, "yuv420p", 5
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", **more}
        frame = av.VideoFrame.from_ndarray(np.full((32, 64, 3), 90, np.uint8), format="rgb24")
        for number in range(8):
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    pictures = live_pictures(f"file://{path}", threading.Event(), time.time_ns)
    assert all(abs(int(one.rgb.mean()) - 90) < 4 for one in islice(pictures, 8))


@pytest.fixture
def camera():
    from rtsp_camera import RtspCamera
    from test_video import encode

    one = RtspCamera(encode("h264", 24, gop=8), rate=60)
    yield one
    one.close()


def test_an_rtsp_camera_gives_whole_stamped_pictures_and_is_connected_to_again(
    camera, monkeypatch, caplog
) -> None:
    from test_video import psnr

    monkeypatch.setattr(live, "_AGAIN", 0.1)
    stop = threading.Event()
    taken = list(islice(live_pictures(camera.url, stop, time.time_ns), 30))
    stop.set()
    assert camera.clients == 2
    assert min(psnr(one.rgb, number) for number, one in enumerate(taken[:20])) > 30
    stamps = [one.stamp for one in taken]
    assert (np.diff(stamps) > 0).all()
    assert abs(stamps[-1] - time.time_ns()) < 30e9
    assert caplog.text.count("trying to connect again") == 1
    assert "connected again" in caplog.text


def test_a_camera_that_is_not_there_is_one_sentence_without_its_password() -> None:
    with pytest.raises(MtpanoError) as caught:
        next(live_pictures("rtsp://user:p@secret@127.0.0.1:9/x", threading.Event(), time.time_ns))
    assert "secret" not in str(caught.value)
    assert "'rtsp://127.0.0.1:9/x' cannot be read" in str(caught.value)


@pytest.mark.parametrize("more", [["--topic", "/a"], ["--rig", "rig.yaml"]])
def test_what_is_for_recordings_is_refused_beside_a_camera(more, capfd) -> None:
    assert player.main(["rtsp://127.0.0.1:9/x", *more]) == 1
    assert "--topic and --rig are for what was recorded" in capfd.readouterr().err


def test_moments_need_a_rate(capfd) -> None:
    assert lenses.main(["--rate", "0"]) == 1
    assert "--rate 0.0: expected moments per second" in capfd.readouterr().err


class FakeDevice:
    """OpenCV's capture of a UVC device that is unplugged after three pictures."""

    opened = 0

    def __init__(self, number: int, _: int) -> None:
        FakeDevice.opened += 1
        self.number, self.count = number, 0

    def isOpened(self) -> bool:
        return self.number == 3

    def set(self, *_: object) -> None:
        pass

    def read(self):
        self.count += 1
        picture = np.full((32, 64, 3), (10, 20, 200), np.uint8)
        return (self.count <= 3, picture if self.count <= 3 else None)

    def get(self, _: int) -> float:
        return 1000.0 + 33 * self.count

    def release(self) -> None:
        pass


def test_a_uvc_device_is_read_with_stamps_and_plugged_in_again(monkeypatch, caplog) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeDevice)
    monkeypatch.setattr(live, "_AGAIN", 0.01)
    FakeDevice.opened = 0
    taken = list(islice(live_pictures("/dev/video3", threading.Event(), time.time_ns), 7))
    assert (taken[0].rgb == (200, 20, 10)).all()
    assert taken[1].stamp - taken[0].stamp <= 33 * MS
    assert FakeDevice.opened == 3
    assert "gives no picture any more; trying to connect again" in caplog.text
    with pytest.raises(MtpanoError, match="/dev/video4 cannot be opened"):
        next(live_pictures("uvc:4", threading.Event(), time.time_ns))


def test_the_newest_wins_where_pictures_are_not_taken_in_time() -> None:
    stop, made = threading.Event(), threading.Event()

    def items():
        yield from range(10)
        made.set()
        stop.wait(5)

    with Prefetcher(items(), depth=1, newest=True) as prefetcher:
        assert made.wait(5)
        assert prefetcher.take(stop) == 9
        assert prefetcher.dropped == 9
        stop.set()
