"""What tests share: the reference material, a known room, and a ROS graph of this host alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from public_trees import Room

from mtpano_ros.transport import large_messages, private_graph

# Before anything imports rclpy, and inherited by the processes that tests start.
os.environ.update(private_graph())
os.environ.update(large_messages())


@pytest.fixture(scope="session")
def shared() -> Path:
    """The material beside the checkout: data sets, reference numbers, panoramas, teachers."""
    folder = Path(__file__).parents[1].parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"reference material is absent: {folder}")
    return folder


@pytest.fixture(scope="session")
def room() -> Room:
    """What the trees of public data sets hold."""
    return Room()
