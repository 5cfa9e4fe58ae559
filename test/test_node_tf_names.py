"""Frames of any name, and of ever new ones: logs and TF stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from types import SimpleNamespace

from test_node_tf import StandInNode

from mtpano_model.robot.transforms import NotYet, TransformError
from mtpano_ros.mounting import tf as mounting_tf
from mtpano_ros.mounting import transforms
from mtpano_ros.mounting.ros_time import time_of
from mtpano_ros.mounting.transforms import Transforms


@pytest.fixture
def tf(monkeypatch):
    monkeypatch.setattr(mounting_tf, "tf2_ros", None)
    monkeypatch.setattr(mounting_tf, "TFMessage", SimpleNamespace)
    return StandInNode()


ODD_FRAMES = ["camera\n[ERROR] forged", "\x1b[31mred", "x" * 5000, "日本" * 300]


@pytest.mark.parametrize("name", ODD_FRAMES, ids=["line", "colour", "long", "wide"])
def test_a_frame_of_any_name_leaves_lines_of_a_log_as_they_are(name, tf, monkeypatch):
    known = Transforms(tf)
    with pytest.raises(TransformError) as caught:
        known.look_up("odom", name, 1.0)
    monkeypatch.setattr(mounting_tf, "TFMessage", None)
    known.publish(name, f"{name}_body", np.eye(3), time_of(1.0))
    for line in (str(caught.value), *tf.logged):
        assert line.isprintable()
        assert len(line) < 500


def test_a_camera_that_names_its_frame_anew_for_every_image_costs_no_memory(tf):
    known = Transforms(tf)
    for number in range(500):
        known.publish(f"camera{number}", f"camera{number}_body", np.eye(3), time_of(1.0))
    last = [one.child_frame_id for one in tf.sent["/tf_static"][-1].transforms]
    assert last == [f"camera{number}_body" for number in range(400, 500)]
    known.publish("camera0", "camera0_body", np.eye(3), time_of(1.0))
    assert tf.sent["/tf_static"][-1].transforms[-1].child_frame_id == "camera0_body"


def test_nor_where_a_transform_from_it_is_wanted(tf, monkeypatch):
    monkeypatch.setattr(transforms, "PATIENCE_SECONDS", 0.0)
    known, remembered = Transforms(tf), []
    for number in range(300):
        with pytest.raises(NotYet):
            known.wait_for("odom", f"camera{number}", 1.0)
        remembered.append(len(known._missing))
    assert max(remembered) <= 100
