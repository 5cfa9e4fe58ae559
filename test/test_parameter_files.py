"""Parameter files that rcl takes without a word although nothing in them is for this node."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

import rclpy
from fake_model import write_fake_model
from processes import running
from rclpy.context import Context
from rclpy.node import Node

from mtpano_ros.parameters.files import unread_files

NODE = "/mtpano/pano_node"
READ = [
    "/**",
    "/mtpano/pano_node",
    "/mtpano/*",
    "/*/pano_node",
    "/**/pano_node",
    "mtpano/pano_node",
    "mtpano:\n  pano_node",
]
UNREAD = ["pano_node", "/pano_node", "/other/pano_node", "/mtpano/other", "/*", "/mtpano"]


def written(path, key):
    indent = "  " * (key.count("\n") + 1)
    path.write_text(f"{key}:\n{indent}ros__parameters:\n{indent}  max_range: 5.0\n")
    return path


def assert_told_as_rcl_reads(file, expected):
    arguments = ["node", "--ros-args", "--params-file", str(file)]
    context = Context()
    rclpy.init(args=arguments, context=context)
    node = Node("pano_node", namespace="/mtpano", context=context)
    read = bool(node._parameter_overrides)
    node.destroy_node()
    rclpy.shutdown(context=context)
    told = list(unread_files(arguments, NODE))
    assert read == expected
    assert bool(told) == (not read)
    if told:
        assert str(file) in told[0]
        assert f"write /** or {NODE} as the key" in told[0]


@pytest.mark.parametrize("key", [*READ, *UNREAD])
def test_a_file_for_other_nodes_is_told_from_one_that_is_read(tmp_path, key):
    """Against rcl itself."""
    assert_told_as_rcl_reads(written(tmp_path / "a.yaml", key), key in READ)


@pytest.mark.parametrize("keys", [("/other",), ("/other", "/**"), ("/**", "/other")])
@pytest.mark.parametrize("form", ["utf-8", "utf-8-sig", "utf-16", "\r\n"])
def test_files_of_several_documents_and_other_encodings_are_read_as_rcl_does(tmp_path, keys, form):
    texts = [written(tmp_path / "a.yaml", key).read_text() for key in keys]
    text = "---\n".join(texts)
    file = tmp_path / "b.yaml"
    if form == "\r\n":
        file.write_bytes(text.replace("\n", form).encode())
    else:
        file.write_text(text, encoding=form)
    assert_told_as_rcl_reads(file, "/**" in keys)


@pytest.mark.parametrize(
    "text", ["", "a: 1", "[1, 2]", "\x00", "/**:\n  - a", "a: [", "1:\n  2: 3"]
)
def test_what_is_no_parameter_file_is_left_to_rcl(tmp_path, text):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    assert not list(unread_files(["--params-file", str(file)], NODE))
    assert not list(unread_files(["--params-file", str(tmp_path / "none.yaml")], NODE))
    assert not list(unread_files(["--params-file"], NODE))


def test_the_node_says_so_when_it_is_configured(tmp_path):
    model = write_fake_model(tmp_path / "fake.onnx")
    file = written(tmp_path / "a.yaml", "pano_node")
    arguments = ["-r", "__ns:=/mtpano", "-p", f"model:={model}", "--params-file", str(file)]
    with running("mtpano_ros.node", "--ros-args", *arguments) as process:
        process.wait_for("listening")
        assert "has parameters for /pano_node and none for /mtpano/pano_node" in process.output
