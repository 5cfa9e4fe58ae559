"""demo.launch.py for real: player, node and a subscriber as ROS starts them (launch_pytest)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("launch_pytest", reason="ROS's launch_pytest is not installed")

import launch_pytest
from fake_model import write_fake_model
from launch import LaunchDescription
from launch.actions import ExecuteProcess, IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_pytest.tools.process import wait_for_exit_sync

ROOT = Path(__file__).parents[1]
FRAMES = 3


@pytest.fixture
def out(tmp_path) -> Path:
    return tmp_path / "snapshot"


@pytest.fixture
def model(tmp_path) -> str:
    return str(write_fake_model(tmp_path / "fake.onnx"))


@pytest.fixture
def snapshot(tmp_path, out, model, monkeypatch) -> ExecuteProcess:
    """The subscriber, and a prefix of links through which ROS finds this checkout."""
    prefix = tmp_path / "prefix"
    index = prefix / "share" / "ament_index" / "resource_index"
    index.mkdir(parents=True)
    (index / "packages").symlink_to(ROOT / "resource")
    (prefix / "share" / "mtpano_ros").symlink_to(ROOT)
    (prefix / "lib").symlink_to(ROOT / "scripts")
    for name, first in (("AMENT_PREFIX_PATH", prefix), ("PYTHONPATH", ROOT)):
        monkeypatch.setenv(name, os.pathsep.join([str(first), os.environ.get(name, "")]))
    command = [prefix / "lib" / "mtpano_ros" / "snapshot", "--out", out, "--frames", FRAMES,
               "--model", model, "--ros-args", "-r", "__ns:=/mtpano"]  # fmt: skip
    return ExecuteProcess(cmd=[str(word) for word in command], output="screen")


@pytest.fixture
def exits() -> list[int]:
    """Exit statuses, as the processes end."""
    return []


@launch_pytest.fixture
def chain(model, snapshot, exits):
    """What a user starts with `ros2 launch mtpano_ros demo.launch.py`, and the subscriber."""
    demo = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(ROOT / "launch" / "demo.launch.py")),
        launch_arguments={"rviz": "false", "model": model, "respawn": "false"}.items(),
    )
    note = OnProcessExit(on_exit=lambda event, _context: exits.append(event.returncode))
    ready = launch_pytest.actions.ReadyToTest()
    return LaunchDescription([RegisterEventHandler(note), demo, snapshot, ready])


@pytest.mark.launch(fixture=chain)
def test_launched_node_publishes_everything_it_lists(snapshot, out, exits, launch_context):
    assert wait_for_exit_sync(launch_context, snapshot, timeout=60)
    assert snapshot.return_code == 0
    received = json.loads((out / "summary.json").read_text())["received"]
    for topic in ("depth", "normals", "semantic", "points", "camera_info", "depth/color"):
        assert received[topic] >= FRAMES, received
    yield
    # launch has sent SIGINT by now: node, player and snapshot ended in order.
    assert exits == [0, 0, 0]
