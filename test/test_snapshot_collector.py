"""Exact-time synchronisation and reading of the node's messages, without ROS."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from mtpano_model.errors import MtpanoError
from mtpano_ros.tools.collector import Collector
from mtpano_ros.tools.reading import cloud_array, depth_metres, image_array


def test_a_set_is_complete_when_every_topic_has_the_same_stamp():
    collector = Collector(("depth", "points"), keep=1)
    assert collector.add("depth", 1000, 1500, "d1") is None
    assert collector.add("points", 2000, 2500, "p2") is None
    done = collector.add("points", 1000, 3_001_000, "p1")
    assert done is not None
    assert done.messages == {"depth": "d1", "points": "p1"}
    assert done.latency_ms == pytest.approx(3.0)
    assert collector.complete == 1
    assert collector.received == {"depth": 1, "points": 2}


def test_only_the_first_sets_hold_on_to_their_messages():
    collector = Collector(("depth",), keep=2)
    for stamp in range(5):
        collector.add("depth", stamp, stamp, f"message {stamp}")
    assert collector.complete == 5
    assert [frame.messages["depth"] for frame in collector.kept] == ["message 0", "message 1"]


def test_the_camera_image_joins_its_set_before_or_after():
    collector = Collector(("depth",), keep=2)
    collector.add("image", 1, 1, "early")
    collector.add("depth", 1, 2, "d1")
    collector.add("depth", 2, 3, "d2")
    assert collector.add("image", 2, 4, "late") is None
    assert [frame.messages["image"] for frame in collector.kept] == ["early", "late"]
    assert collector.complete == 2


@pytest.mark.parametrize("stamp", [0, 1000])
@pytest.mark.parametrize("order", ["set by set", "topic by topic"])
def test_cameras_that_stamp_all_images_alike_give_sets_all_the_same(stamp, order):
    collector = Collector(("depth", "points"), keep=5)
    arrivals = [(topic, n) for n in range(5) for topic in ("image", "depth", "points")]
    if order == "topic by topic":
        arrivals.sort()
    for topic, number in arrivals:
        collector.add(topic, stamp, 2_000_000, (topic, number))
    assert collector.complete == 5
    for number, frame in enumerate(collector.kept):
        assert {topic: message[1] for topic, message in frame.messages.items()} == dict.fromkeys(
            ("image", "depth", "points"), number
        )


@pytest.mark.parametrize(
    ("stamp", "arrived", "milliseconds"),
    [
        (10**18, 10**18 + 2 * 10**6, [2.0]),
        (10**18, 10**18 - 5 * 10**6, [-5.0]),
        (0, 10**18, []),
        (10**12, 10**18, []),
        (10**18 + 3600 * 10**9, 10**18, []),
        (10**18 + 10**9, 10**18, []),
    ],
    ids=["ours", "a few ms ahead", "0", "since boot", "an hour ahead", "a second ahead"],
)
def test_a_latency_is_kept_only_where_the_stamp_is_of_the_same_clock(stamp, arrived, milliseconds):
    collector = Collector(("depth",), keep=0)
    collector.add("depth", stamp, arrived, "d")
    assert collector.latencies_ms == milliseconds


def test_sets_that_never_complete_are_given_up_and_counted():
    collector = Collector(("depth", "points"), keep=9, open_sets=4)
    for stamp in range(10):
        collector.add("depth", stamp, stamp, "d")
    for stamp in range(10, 20):
        collector.add("image", stamp, stamp, "an image alone is no loss")
    assert collector.complete == 0
    assert collector.incomplete == 10


def image(encoding, data, height, width, step, big=0):
    return SimpleNamespace(
        encoding=encoding, data=data, height=height, width=width, step=step, is_bigendian=big
    )


def test_images_are_read_with_padding_and_in_either_byte_order():
    values = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    for order, big in (("<", 0), (">", 1)):
        rows = values.astype(order + "f4").reshape(2, 6).view(np.uint8)
        padded = np.pad(rows, ((0, 0), (0, 5))).tobytes()
        read = image_array(image("32FC3", padded, 2, 2, 29, big))
        np.testing.assert_array_equal(read, values)
        assert read.dtype == np.float32
    with pytest.raises(MtpanoError, match=r"'yuv422'.*32FC1"):
        image_array(image("yuv422", b"", 1, 1, 2))


def test_millimetres_become_metres_and_zero_nothing():
    data = np.array([[0, 1500]], "<u2").tobytes()
    depth = depth_metres(image("16UC1", data, 1, 2, 4))
    assert np.isnan(depth[0, 0])
    assert depth[0, 1] == pytest.approx(1.5)


def test_clouds_are_read_by_the_offsets_they_name():
    def field(name, offset, datatype):
        return SimpleNamespace(name=name, offset=offset, datatype=datatype)

    row = np.zeros(2 * 16 + 3, np.uint8)  # two points of 16 bytes, three bytes of padding
    for column, (x, label) in enumerate(((1.5, 7), (-2.5, 8))):
        row[column * 16 + 4 : column * 16 + 8] = np.frombuffer(np.float32(x).tobytes(), np.uint8)
        row[column * 16 + 12] = label
    cloud = SimpleNamespace(
        fields=[field("x", 4, 7), field("label", 12, 6)],
        height=1, width=2, point_step=16, row_step=35, is_bigendian=False, data=row.tobytes(),
    )  # fmt: skip
    points = cloud_array(cloud)
    assert points.shape == (1, 2)
    np.testing.assert_array_equal(points["x"], [[1.5, -2.5]])
    np.testing.assert_array_equal(points["label"], [[7, 8]])
