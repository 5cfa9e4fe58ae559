"""What a rig's source says of settings and messages that are wrong."""

# ruff: noqa: F811

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

import rclpy
from fisheye_views import back_to_back, bundled
from node_harness import wait_until
from rig_robot import SMALL, picture, seen_by
from test_rig_source import begin, compressed_video, info, mount, waiting_rig  # noqa: F401

from mtpano_model.errors import MtpanoError
from mtpano_ros.camera.rig_source import RigSource
from mtpano_ros.camera.source import ImageSource


def test_a_mask_that_does_not_fit_the_camera_info_is_said(begin):
    rig = waiting_rig(body_frame="body")
    wide = replace(rig.lenses[0], mask=np.zeros((10, 90), bool))
    stage = begin(RigSource(replace(rig, lenses=(wide,))))
    mount(stage, "f", 0, (0.0, 0.0, 1.0))
    stage.listening["/front/camera_info"](info("f"))
    wait_until(lambda: "the mask of lens 'front' is 10x90" in stage.source.state.status()[1])


@pytest.mark.parametrize("topic", ["with space", "/a//b", "/a/", "1a", "/ä"])
def test_a_topic_that_cannot_be_one_is_named_with_its_lens(topic):
    rig = back_to_back(SMALL)
    source = RigSource(replace(rig, lenses=(replace(rig.lenses[0], topic=topic),)))
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("names", context=context)
    try:
        with pytest.raises(MtpanoError, match=f"'{topic}' of lens 'front' is not a valid name"):
            source.endpoints(node)
    finally:
        node.destroy_node()
        context.shutdown()


def test_a_lens_that_sees_less_is_said_again_after_a_pause(begin):
    rig = back_to_back(SMALL)
    claiming = [replace(one, camera=replace(SMALL, field_of_view=220.0)) for one in rig.lenses]
    source = RigSource(replace(rig, lenses=tuple(claiming)))
    pictures = seen_by(rig, bundled("workshop"))
    for _ in range(2):
        stage = begin(source)
        for topic in rig.topics:
            stage.take(topic, picture(topic, pictures[topic], 10**9))
        stage.panorama()
        assert "field_of_view of 220 degrees" in source.state.status()[1]
        source.end()


def test_a_stream_of_no_codec_is_said(begin):
    stage = begin(ImageSource("video"))
    message = compressed_video(b"x", 1)
    message.format = ""
    stage.take("image", message)
    assert "video codec '' is not supported" in stage.source.state.status()[1]


def test_a_lens_whose_stream_was_wrong_is_right_again_with_a_picture(begin):
    rig = back_to_back(SMALL)
    stage = begin(RigSource(rig))
    topic = rig.topics[0]
    vp9 = compressed_video(b"x", 1)
    vp9.format = "vp9"
    for _ in range(2):
        stage.take(topic, vp9)
        assert "'vp9' is not supported" in stage.source.state.status()[1]
        stage.take(topic, picture(topic, seen_by(rig, bundled("workshop"))[topic], 10**9))
        assert "vp9" not in stage.source.state.status()[1]
