"""Video messages of packages that need not be installed."""

from __future__ import annotations

import sys
from array import array
from types import ModuleType, SimpleNamespace

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("av", reason="PyAV is not installed (extra video)")
from builtin_interfaces.msg import Time
from test_video import decoder, psnr, scene

from mtpano_model.errors import MtpanoError
from mtpano_model.video.messages import stamp_of, video_packet
from mtpano_ros.tools.forms import stamp_message, video_form

PACKAGES = {
    "ffmpeg_packet": ("ffmpeg_image_transport_msgs", "FFMPEGPacket", "/ffmpeg"),
    "compressed_video": ("foxglove_msgs", "CompressedVideo", "/foxglove"),
}


def ffmpeg_packet(**fields):
    return SimpleNamespace(header=SimpleNamespace(stamp=None, frame_id=""), **fields)


def compressed_video(**fields):
    return SimpleNamespace(timestamp=None, frame_id="", **fields)


@pytest.mark.parametrize("message", PACKAGES)
def test_a_message_whose_package_is_missing_names_it(message, monkeypatch) -> None:
    package = PACKAGES[message][0]
    monkeypatch.setitem(sys.modules, f"{package}.msg", None)
    with pytest.raises(MtpanoError, match=f"{package}.*apt install ros-.*-msgs"):
        video_form("h264", message, 30)


@pytest.mark.parametrize("message", PACKAGES)
def test_its_packets_are_read_back(message, monkeypatch) -> None:
    package, name, suffix = PACKAGES[message]
    module = ModuleType(f"{package}.msg")
    setattr(module, name, globals()[message])
    monkeypatch.setitem(sys.modules, package, ModuleType(package))
    monkeypatch.setitem(sys.modules, f"{package}.msg", module)
    form = video_form("h264", message, 30)
    assert form.suffix == suffix
    one, _ = decoder()
    for number in range(3):
        made = form.make(scene(number))
        stamp_message(made, Time(sec=7, nanosec=number + 1), "camera")
        assert isinstance(made.data, array)
        assert stamp_of(made) == 7 * 10**9 + number + 1
        packet = video_packet(made)
        (picture,) = one.feed(packet.data, packet.stamp)
        assert psnr(picture.rgb(), number) > 30
