"""What the launch files start, with which arguments, told by executables that only take notes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("launch_ros", reason="ROS's launch and launch_ros are not installed")

from launch import LaunchDescription, LaunchService
from launch.actions import GroupAction, IncludeLaunchDescription, SetLaunchConfiguration
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import PushRosNamespace

from mtpano_ros.doctor.transport import OLD_PROFILE_VARIABLE, PROFILE_VARIABLE
from mtpano_ros.process.transport import PRIVATE_DOMAINS, PROFILE

ROOT = Path(__file__).parents[1]
GRAPH = ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOCALHOST_ONLY")
NOTE_TAKER = """#!/usr/bin/env python3
import json, os, sys
name = os.path.basename(sys.argv[0])
files = [sys.argv[i + 1] for i, word in enumerate(sys.argv) if word == "--params-file"]
note = {
    "arguments": sys.argv[1:],
    "parameters": [open(file).read() for file in files],
    "environment": dict(os.environ),
}
json.dump(note, open(os.path.join(os.environ["NOTES"], name), "w"))
"""


@pytest.fixture
def notes(tmp_path, monkeypatch) -> Path:
    """Folder where each started executable leaves what it was given."""
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    for name in ("mtpano_ros/pano_node", "mtpano_ros/player", "rviz2/rviz2",
                 "tf2_ros/static_transform_publisher"):  # fmt: skip
        executable = tmp_path / "lib" / name
        executable.parent.mkdir(parents=True, exist_ok=True)
        executable.write_text(NOTE_TAKER)
        executable.chmod(0o755)
        (index / executable.parent.name).touch()
    (tmp_path / "share" / "mtpano_ros").symlink_to(ROOT)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    for variable in (PROFILE_VARIABLE, OLD_PROFILE_VARIABLE, *GRAPH):
        monkeypatch.setenv(variable, "")  # so that what launch sets in this process is undone
        monkeypatch.delenv(variable)
    monkeypatch.setenv("NOTES", str(tmp_path / "notes"))
    (tmp_path / "notes").mkdir()
    return tmp_path / "notes"


def launched(notes: Path, name: str, **arguments: str) -> dict[str, dict]:
    """executable -> its note, after `ros2 launch mtpano_ros NAME.launch.py ARGUMENTS`."""
    source = PythonLaunchDescriptionSource(str(ROOT / "launch" / f"{name}.launch.py"))
    given = {"respawn": "false", **arguments}  # the note takers end at once
    service = LaunchService(noninteractive=True)
    include = IncludeLaunchDescription(source, launch_arguments=given.items())
    service.include_launch_description(LaunchDescription([include]))
    assert service.run() == 0
    return {path.name: json.loads(path.read_text()) for path in notes.iterdir()}


def remappings(note: dict) -> set[str]:
    words = note["arguments"]
    return {words[i + 1] for i, word in enumerate(words) if word == "-r"}


def parameters(note: dict) -> dict:
    """What the parameter files come to, the later ones over the earlier ones."""
    merged: dict = {}
    for text in note["parameters"]:
        for section in yaml.safe_load(text).values():
            merged |= section["ros__parameters"]
    return merged


def test_plain_launch_starts_the_node_alone_with_the_shipped_file(notes):
    started = launched(notes, "pano")
    assert set(started) == {"pano_node"}
    node = started["pano_node"]
    shipped = yaml.safe_load((ROOT / "config" / "pano.yaml").read_text())
    assert parameters(node) == shipped["/**"]["ros__parameters"]
    assert "__ns:=/mtpano" in remappings(node)
    # What `ros2 run mtpano_ros player` publishes and a node without remappings reads.
    assert "image:=/image" in remappings(node)


def test_image_topic_is_remapped_raw_and_compressed(notes):
    node = launched(notes, "pano", image="/front/pano", namespace="/roof")["pano_node"]
    assert remappings(node) >= {
        "__ns:=/roof",
        "image:=/front/pano",
        "image/compressed:=/front/pano/compressed",
    }


def test_arguments_win_over_the_parameter_file_where_given(notes, tmp_path):
    file = tmp_path / "robot.yaml"
    file.write_text("/**: {ros__parameters: {backend: onnxruntime, autostart: true, threads: 3}}")
    node = launched(notes, "pano", params_file=str(file), autostart="false", log_level="debug")
    given = parameters(node["pano_node"])
    assert given == {"backend": "onnxruntime", "autostart": False, "threads": 3}
    words = node["pano_node"]["arguments"]
    assert words[words.index("--log-level") + 1] == "debug"


def test_a_rig_and_video_are_parameters_of_the_node(notes, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "robot.yaml"
    file.write_text("/**: {ros__parameters: {image_transport: raw}}")
    rig = {"rig": "~/rig.yaml", "image_transport": "video"}
    node = launched(notes, "pano", params_file=str(file), **rig)["pano_node"]
    assert parameters(node) == {"rig": f"{tmp_path}/rig.yaml", "image_transport": "video"}


def test_transport_profile_is_set_for_every_process(notes, monkeypatch):
    monkeypatch.setenv("ROS_DISTRO", "kilted")
    for note in launched(notes, "demo", rviz="false").values():
        assert note["environment"]["FASTDDS_DEFAULT_PROFILES_FILE"] == str(PROFILE)


def test_users_own_transport_profile_is_kept(notes, monkeypatch):
    monkeypatch.setenv("FASTDDS_DEFAULT_PROFILES_FILE", "theirs.xml")
    environment = launched(notes, "pano")["pano_node"]["environment"]
    assert environment["FASTDDS_DEFAULT_PROFILES_FILE"] == "theirs.xml"


def test_rviz_shows_the_namespace_that_was_asked_for(notes):
    rviz = launched(notes, "pano", rviz="true", namespace="/roof", fixed_frame="odom")["rviz2"]
    words = rviz["arguments"]
    assert Path(words[words.index("-d") + 1]).is_file()
    assert words[words.index("-f") + 1] == "odom"
    assert "/mtpano/points:=/roof/points" in remappings(rviz)


def refused(notes: Path, name: str, **arguments: str) -> bool:
    """Whether launch ends with an error, before anything was started."""
    source = PythonLaunchDescriptionSource(str(ROOT / "launch" / f"{name}.launch.py"))
    service = LaunchService(noninteractive=True)
    include = IncludeLaunchDescription(source, launch_arguments=arguments.items())
    service.include_launch_description(LaunchDescription([include]))
    return service.run() != 0 and not list(notes.iterdir())


@pytest.mark.parametrize("name", ["pano", "demo"])
@pytest.mark.parametrize("argument", ["autostart", "use_sim_time", "respawn", "rviz"])
@pytest.mark.parametrize("value", ["yes", "1", "on", "TRUE", " true"])
def test_what_is_no_boolean_is_refused_before_anything_starts(notes, name, argument, value):
    assert refused(notes, name, **{argument: value})


@pytest.mark.parametrize("file", ["/nowhere/robot.yaml", "~/nowhere.yaml", "", "/"])
def test_a_parameter_file_that_is_missing_is_refused_before_anything_starts(notes, file):
    assert refused(notes, "pano", params_file=file)


def test_a_tilde_in_the_parameter_file_is_home(notes, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "robot.yaml").write_text("/**: {ros__parameters: {threads: 3}}")
    node = launched(notes, "pano", params_file="~/robot.yaml")["pano_node"]
    assert parameters(node) == {"threads": 3}


@pytest.mark.parametrize("name", ["pano", "demo"])
def test_without_rviz2_the_node_runs_all_the_same(notes, name):
    index = notes.parent / "share" / "ament_index" / "resource_index" / "packages"
    (index / "rviz2").unlink()
    assert set(launched(notes, name, rviz="true")) == {"pano_node", "player"} - (
        {"player"} if name == "pano" else set()
    )


def test_a_topic_of_jpegs_may_have_any_name(notes):
    node = launched(notes, "pano", compressed_image="/theta/image_jpeg")["pano_node"]
    assert "image/compressed:=/theta/image_jpeg" in remappings(node)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"__ns:=/robot1/mtpano", "image:=/robot1/image"}),
        ({"image": "front/image"}, {"image:=/robot1/front/image"}),
        ({"image": "/front/image", "namespace": "/roof"}, {"__ns:=/roof", "image:=/front/image"}),
    ],
)
def test_names_follow_a_pushed_namespace_unless_they_are_absolute(notes, given, expected, caplog):
    source = PythonLaunchDescriptionSource(str(ROOT / "launch" / "pano.launch.py"))
    include = IncludeLaunchDescription(
        source, launch_arguments={"respawn": "false", **given}.items()
    )
    service = LaunchService(noninteractive=True)
    group = GroupAction([PushRosNamespace("robot1"), include])
    service.include_launch_description(LaunchDescription([group]))
    assert service.run() == 0
    assert expected <= remappings(json.loads((notes / "pano_node").read_text()))
    assert "is not read here" not in caplog.text


def test_a_group_keeps_the_arguments_of_others_out_as_the_docs_say(notes):
    source = PythonLaunchDescriptionSource(str(ROOT / "launch" / "pano.launch.py"))
    group = GroupAction(
        [PushRosNamespace("robot1"), IncludeLaunchDescription(source)],
        forwarding=False,
        launch_configurations={"image": "front/image_raw", "respawn": "false"},
    )
    others = {"params_file": "/nowhere/nav2.yaml", "model": "burger", "namespace": "x"}
    theirs = [SetLaunchConfiguration(name, value) for name, value in others.items()]
    service = LaunchService(noninteractive=True)
    service.include_launch_description(LaunchDescription([*theirs, group]))
    assert service.run() == 0
    note = json.loads((notes / "pano_node").read_text())
    assert {"__ns:=/robot1/mtpano", "image:=/robot1/front/image_raw"} <= remappings(note)
    assert "burger" not in str(note["parameters"])


@pytest.mark.parametrize(("status", "starts"), [(78, 1), (102, 1), (1, 2)])
def test_what_cannot_start_is_not_started_for_ever(notes, status, starts):
    node = notes.parent / "lib" / "mtpano_ros" / "pano_node"
    # Ends with 78 the second time, so that the respawning ends as well.
    node.write_text(
        f"#!/bin/sh\necho >>$NOTES/starts\n"
        f"[ $(wc -l <$NOTES/starts) -gt 1 ] && exit 78\nexit {status}\n"
    )
    source = PythonLaunchDescriptionSource(str(ROOT / "launch" / "pano.launch.py"))
    service = LaunchService(noninteractive=True)
    service.include_launch_description(LaunchDescription([IncludeLaunchDescription(source)]))
    assert service.run() == 0
    assert (notes / "starts").read_text().count("\n") == starts


@pytest.mark.parametrize(
    ("name", "meant"), [("imgae", "image"), ("param_file", "params_file"), ("rate", None)]
)
def test_a_misspelt_argument_is_named(notes, name, meant, caplog):
    launched(notes, "pano", **{name: "x"})
    said = f"'{name}' is not read here: was '{meant}' meant?"
    assert (said in caplog.text) == (meant is not None)


def test_demo_plays_to_the_node(notes):
    started = launched(notes, "demo", input="~/panoramas", rate="2.0")
    assert set(started) == {"pano_node", "player", "rviz2", "static_transform_publisher"}
    player = started["player"]
    assert player["arguments"][0] == str(Path.home() / "panoramas")
    (played,) = {name for name in remappings(player) if name.startswith("image:=")}
    assert played in remappings(started["pano_node"])


@pytest.mark.parametrize(("distribution", "localhost"), [("kilted", None), ("humble", "1")])
def test_demo_stays_on_this_host_in_a_domain_of_its_own(
    notes, monkeypatch, distribution, localhost
):
    monkeypatch.setenv("ROS_DISTRO", distribution)
    for note in launched(notes, "demo").values():
        domain, discovery, only_localhost = (note["environment"].get(name) for name in GRAPH)
        assert int(domain) in PRIVATE_DOMAINS
        assert (discovery, only_localhost) == ("LOCALHOST", localhost)


def test_demo_keeps_the_users_own_graph(notes, monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    environment = launched(notes, "demo")["player"]["environment"]
    assert [environment[name] for name in GRAPH[:2]] == ["7", "SUBNET"]


def test_a_demo_without_rviz2_plays_all_the_same(notes):
    index = notes.parent / "share" / "ament_index" / "resource_index" / "packages"
    (index / "rviz2").unlink()
    assert set(launched(notes, "demo")) == {"pano_node", "player"}


def test_demo_shows_the_cloud_upright(notes):
    words = launched(notes, "demo")["static_transform_publisher"]["arguments"]
    angle = {name: float(words[words.index(name) + 1]) for name in ("--roll", "--yaw")}
    player = json.loads((notes / "player").read_text())["arguments"]
    assert words[words.index("--child-frame-id") + 1] == player[player.index("--frame-id") + 1]

    # Rz(yaw) Rx(roll): optical forward (z) is the map's x, optical down (y) the map's -z.
    c, s = np.cos(angle["--yaw"]), np.sin(angle["--yaw"])
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    c, s = np.cos(angle["--roll"]), np.sin(angle["--roll"])
    tilt = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    np.testing.assert_allclose(turn @ tilt @ [0, 0, 1], [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(turn @ tilt @ [0, 1, 0], [0, 0, -1], atol=1e-6)
