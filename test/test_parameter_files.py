"""Parameter files that rcl takes without a word although nothing in them is for this node."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

import rclpy
from fake_model import write_fake_model
from processes import running
from rclpy.context import Context
from rclpy.node import Node

from mtpano_ros.parameters.files import odd_files

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
    told = list(odd_files(arguments, NODE))
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


@pytest.mark.parametrize("text", ["", "# nothing", "5", "--- \n---\n", "/**:", "a:\n  b:"])
def test_a_file_that_sets_nothing_is_told(tmp_path, text):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    (told,) = odd_files(["--params-file", str(file)], NODE)
    assert f"{file}' sets nothing: expected {NODE}: {{ros__parameters: {{NAME: VALUE}}" in told


@pytest.mark.parametrize(
    ("text", "twice"),
    [
        ("{0}    max_range: 5.0\n    max_range: 6.0\n", "max_range"),
        ("{0}    max_range: 5.0\n{0}    max_range: 6.0\n", "max_range"),
        ("{0}    cloud.stride: 1\n    cloud:\n      stride: 2\n", "cloud.stride"),
        ("{0}    cloud:\n      stride: 1\n    cloud:\n      voxel_size: 2.0\n", ""),
        ("{0}    max_range: 6.0\n/mtpano/pano_node:\n  ros__parameters: {{max_range: 5.0}}", ""),
        ("{0}    a: 1\n/other:\n  ros__parameters: {{a: 5.0, a: 2.0}}", ""),
    ],
)
def test_a_parameter_that_is_set_twice_is_told(tmp_path, text, twice):
    file = tmp_path / "a.yaml"
    file.write_text(text.format("/**:\n  ros__parameters:\n"))
    told = list(odd_files(["--params-file", str(file)], NODE))
    expected = [f"parameter file '{file}' sets {twice} 2 times: the last one counts"]
    assert told == (expected if twice else [])


@pytest.mark.parametrize("text", ["\x00", "a: [", "a: &a\n  b: *a"])
def test_what_is_no_parameter_file_is_left_to_rcl(tmp_path, text):
    file = tmp_path / "a.yaml"
    file.write_text(text)
    assert not list(odd_files(["--params-file", str(file)], NODE))
    assert not list(odd_files(["--params-file", str(tmp_path / "none.yaml")], NODE))
    assert not list(odd_files(["--params-file"], NODE))


def test_the_node_says_so_when_it_is_configured(tmp_path):
    model = write_fake_model(tmp_path / "fake.onnx")
    file = written(tmp_path / "a.yaml", "pano_node")
    arguments = ["-r", "__ns:=/mtpano", "-p", f"model:={model}", "--params-file", str(file)]
    with running("mtpano_ros.node", "--ros-args", *arguments) as process:
        process.wait_for("listening")
        assert "has parameters for /pano_node and none for /mtpano/pano_node" in process.output
