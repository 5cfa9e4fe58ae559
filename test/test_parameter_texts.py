"""Parameters whose text has a meaning: what cannot be meant is refused, and the parameter named."""

from __future__ import annotations

import os

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from fake_model import write_fake_model
from node_harness import robot, wait_until

from mtpano_model.errors import MtpanoError
from mtpano_model.rig.values import yaml_of
from mtpano_model.settings import read_yaml
from mtpano_ros.parameters.files import odd_files
from mtpano_ros.parameters.options import with_values
from mtpano_ros.parameters.table import Parameters

FRAMES = ("outputs.frame_id", "cloud.frame", "scan.frame", "attitude.frame", "camera_height")


@pytest.mark.parametrize("parameter", FRAMES)
@pytest.mark.parametrize("name", ["a b", "odom\n", "ü", "x;y", "x" * 300])
def test_what_is_no_frame_is_refused_everywhere(parameter, name):
    with pytest.raises(MtpanoError) as caught:
        with_values(Parameters(), {parameter: name})
    assert f"parameter {parameter} is " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("parameter", FRAMES)
@pytest.mark.parametrize("name", ["odom", "robot1/base-link_2.x"])
def test_frames_are_taken_as_robots_name_them(parameter, name):
    assert with_values(Parameters(), {parameter: name})


@pytest.mark.parametrize("parameter", ["attitude.frame", "camera_height"])
def test_a_frame_that_is_looked_up_may_have_the_slash_of_ros_1(parameter):
    assert with_values(Parameters(), {parameter: "/odom"})


@pytest.mark.parametrize("text", ["1_0", "٢", "1,2", "0x1p3", "2 m", "1e999"])
def test_a_height_is_a_plain_number_or_a_frame(text):
    with pytest.raises(MtpanoError, match="parameter camera_height"):
        with_values(Parameters(), {"camera_height": text})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"views.size": "480"}, "parameter views.size: size '480'"),
        ({"views.size": "0x0", "views.layout": "four"}, "parameter views.size: size '0x0'"),
        ({"views.layout": "front 0 0 90 480"}, "parameter views.layout: size '480'"),
        ({"views.layout": "f" * 65 + " 0 0 90 48x64"}, "cannot be part of a topic's name"),
    ],
)
def test_sizes_and_names_of_views_are_checked_even_where_no_view_uses_them(given, said):
    with pytest.raises(MtpanoError) as caught:
        with_values(Parameters(), given)
    assert said in str(caught.value)


def test_the_longest_name_of_a_view_makes_topics(tmp_path):
    layout = "f" * 64 + " 0 0 90 48x64"
    with robot(write_fake_model(tmp_path / "m.onnx"), **{"views.layout": layout}) as bot:
        bot.activate()


@pytest.mark.parametrize(
    ("given", "members"), [("views", "views.layout"), ("scan.heigth", "scan.min_height")]
)
def test_a_name_in_one_of_our_groups_is_told_what_the_group_has(tmp_path, given, members):
    with robot(write_fake_model(tmp_path / "m.onnx"), **{given: "four"}) as bot:
        bot.activate()
        wait_until(lambda: bot.said(f"parameter '{given}' is not one of this node's"))
        assert members in bot.said(f"'{given}'")[0]


YAML_READERS = [lambda path: yaml_of(path, "the rig file"), read_yaml]


@pytest.mark.parametrize("text", ["a: !!int ''", "a: !!timestamp x", "a: !!float [", "[" * 5000])
@pytest.mark.parametrize("read", YAML_READERS)
def test_whatever_is_no_yaml_is_refused_in_one_line(tmp_path, text, read):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(MtpanoError, match="YAML") as caught:
        read(path)
    assert "\n" not in str(caught.value)
    for line in odd_files(["--params-file", str(path)], "/node"):  # which rcl refuses
        assert line.startswith(f"parameter file '{path}' sets nothing")


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "bytes"])
@pytest.mark.parametrize("read", YAML_READERS)
def test_a_yaml_file_that_would_be_read_for_ever_is_refused(tmp_path, kind, read):
    path = tmp_path / "a.yaml"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(bytes(range(256)))
    with pytest.raises(MtpanoError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
