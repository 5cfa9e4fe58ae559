"""An address where a path is expected is named whole, with what to do in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtpano_model.addresses import refuse_address
from mtpano_model.commands import main
from mtpano_model.errors import MtpanoError
from mtpano_model.graph.model_info import find_model
from mtpano_model.pictures.body_mask import load_mask
from mtpano_model.rig.reading import read_rig

REMEDIES = {
    "https://example.org//a/pano.jpg": "download it",
    "s3://bucket/bag.mcap": "copy it to this machine",
    "RTSP://camera.local/stream": "ros2 run mtpano_ros player",
    "file:///data/my%20room.jpg": "give /data/my room.jpg",
    "file://localhost/data/a.jpg": "give /data/a.jpg",
    "file:/data/a.jpg": "give /data/a.jpg",
}


@pytest.mark.parametrize("address", REMEDIES)
@pytest.mark.parametrize(
    "words",
    [
        ["predict"],
        ["predict", "x.jpg", "--mask"],
        ["predict", "x.jpg", "--rig"],
        ["predict", "x.jpg", "--model"],
        ["rig", "check", "rig.yaml"],
        ["label", "--out", "o", "--teacher", "da2", "--input"],
        ["evaluate", "--data", "rooms", "--root"],
        ["render", "--out"],
        ["train", "--out", "o", "--data-root"],
        ["evaluate", "--data", "rooms", "--root", ".", "--model"],
    ],
    ids=" ".join,
)
def test_every_command_says_what_to_do(words, address, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.jpg").write_bytes(Path("/dev/null").read_bytes())
    assert main([*words, address]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"'{address}' is an address, and a path is expected" in line
    assert REMEDIES[address] in line


@pytest.mark.parametrize("form", ["--out={}", "{}"])
def test_both_forms_of_an_argument_keep_the_slashes(form, capsys):
    words = ["predict", "x.jpg", form.format("s3://bucket/out")]
    assert main(words if form == "--out={}" else ["predict", "--out", "o", words[-1]]) == 1
    assert "'s3://bucket/out' is an address" in capsys.readouterr().err


@pytest.mark.parametrize("door", [find_model, load_mask, read_rig])
def test_parameters_of_the_node_say_it_too(door):
    with pytest.raises(MtpanoError, match=r"'https://x.org/a.b' is an address.*download it"):
        door("https://x.org/a.b")


def test_a_folder_whose_name_looks_like_an_address_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("http:").mkdir()
    refuse_address("http://x")
    refuse_address("a:/b")
    refuse_address("out/http://x")


def test_the_player_reads_streams_but_no_address_of_a_file(capfd):
    pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install 'ros'")
    from mtpano_ros.tools.player import main as player

    assert player(["file:///data/my%20room.mp4"]) == 1
    assert "is an address, and a path is expected: give /data/my room.mp4" in capfd.readouterr().err


def test_the_player_says_that_ffmpeg_knows_no_such_address(capfd):
    pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install 'ros'")
    pytest.importorskip("av", reason="PyAV is not installed: pip install av")
    from mtpano_ros.tools.player import main as player

    assert player(["s3://bucket/a.mp4", "--frames", "1"]) == 1
    assert "FFmpeg knows no addresses that begin with s3:, so copy it" in capfd.readouterr().err
