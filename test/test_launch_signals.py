"""SIGINT at a launch that a script has started in the background, where shells have it ignored."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from node_harness import wait_until

pytest.importorskip("launch_ros", reason="ROS's launch and launch_ros are not installed")

ROOT = Path(__file__).parents[1]
# Such as `ros2 launch`, which need not be there.
LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
service = LaunchService(noninteractive=True)
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(sys.argv[1])]))
sys.exit(service.run())
"""
# A node that ends at once and in order, as ours does, and would be started again.
NODE = """#!/usr/bin/env python3
import os, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
open(f"{os.environ['STARTED']}/{os.getpid()}", "w").close()
time.sleep(60)
"""


def test_launch_ends_and_starts_nothing_again(tmp_path):
    packages = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    executable = tmp_path / "lib" / "mtpano_ros" / "pano_node"
    started = tmp_path / "started"
    for folder in (packages, executable.parent, started):
        folder.mkdir(parents=True)
    (packages / "mtpano_ros").touch()
    (tmp_path / "share" / "mtpano_ros").symlink_to(ROOT)
    executable.write_text(NODE)
    executable.chmod(0o755)
    launch = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(ROOT / "launch" / "pano.launch.py")],
        env={**os.environ, "AMENT_PREFIX_PATH": str(tmp_path), "STARTED": str(started)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        start_new_session=True,
    )
    try:
        wait_until(lambda: list(started.iterdir()), 60, "a start of the node")
        os.killpg(launch.pid, signal.SIGINT)
        assert launch.wait(30) == 0
        assert len(list(started.iterdir())) == 1
    finally:
        if launch.poll() is None:
            os.killpg(launch.pid, signal.SIGKILL)
