"""Messages of every shape: the reader gives a whole panorama or says no, and nothing else."""

from __future__ import annotations

import array

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from node_harness import gradient, jpeg
from sensor_msgs.msg import CompressedImage, Image

from mtpano_model.pictures.messages import COLOR_ENCODINGS, SINGLE_CHANNEL, read_message
from mtpano_model.pictures.picture import BadPicture
from mtpano_model.pictures.shape import is_panoramic
from mtpano_ros.watch.diagnostics import SKIP_REASONS

UINT32 = st.one_of(st.integers(0, 80), st.integers(0, 2**32 - 1))
ENCODINGS = st.one_of(st.sampled_from([*COLOR_ENCODINGS, *SINGLE_CHANNEL]), st.text(max_size=12))
JPEG = jpeg(gradient())
many = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))


def read_or_refuse(message, allow):
    try:
        panorama = read_message(message, allow)
    except BadPicture as error:
        refusal = error
    else:
        refusal = None
    if refusal is not None:
        assert refusal.reason in SKIP_REASONS
        assert "\n" not in str(refusal)
        assert len(str(refusal)) < 500
        return
    height, width = panorama.size
    assert height > 0
    assert is_panoramic((height, width)) or allow
    assert panorama.pixels.shape == (height, width, 3)
    assert panorama.pixels.sum() >= 0, "every byte can be read"


@many
@given(
    height=UINT32, width=UINT32, step=UINT32, encoding=ENCODINGS, big=st.integers(0, 1),
    data=st.binary(max_size=4096), fit=st.booleans(), allow=st.booleans(),
)  # fmt: skip
def test_any_image_is_read_or_refused(height, width, step, encoding, big, data, fit, allow):
    if fit:  # otherwise hardly any would get past the size
        height, width = 1 + height % 12, 2 + 2 * (height % 12)
        step = width * 8
        data = (data * (1 + height * step // max(1, len(data))))[: height * step]
    message = Image(
        height=height, width=width, step=step, encoding=encoding, is_bigendian=big,
        data=array.array("B", data),
    )  # fmt: skip
    read_or_refuse(message, allow)


@many
@given(
    form=st.one_of(st.sampled_from(["jpeg", "png", "rgb8; jpeg compressed bgr8"]), st.text()),
    cut=st.integers(0, len(JPEG)),
    holes=st.lists(st.tuples(st.integers(0, len(JPEG) - 1), st.integers(0, 255)), max_size=6),
    junk=st.binary(max_size=64),
    allow=st.booleans(),
)
def test_any_compressed_image_is_read_or_refused(form, cut, holes, junk, allow, capfd):
    data = bytearray(JPEG)
    for position, value in holes:
        data[position] = value
    message = CompressedImage(format=form, data=array.array("B", bytes(data[:cut]) + junk))
    read_or_refuse(message, allow)
