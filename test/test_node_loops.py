"""Which compiled loops the node loads while it configures, so that no image waits for them."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from mtpano_model.inference import depth_finish
from mtpano_model.robot import edge_filter, turning
from mtpano_ros.frames.loops import load_loops
from mtpano_ros.parameters.table import Parameters

EDGES, TURNING, FINISH = "edge_filter_kernel", "turning_kernel", "depth_finish_kernel"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [EDGES, FINISH]),
        ({"edge_filter": 0.0}, [FINISH]),
        ({"edge_filter": 0.0, "depth_finish": "off"}, []),
        ({"edge_filter": 0.0, "level": "self"}, [FINISH, TURNING]),
    ],
)
def test_what_parameters_ask_for_is_loaded_ahead(changes, expected, monkeypatch):
    loaded: list[str] = []
    for module in (depth_finish, edge_filter, turning):
        monkeypatch.setattr(
            module, "compiled_loops", lambda name, required: loaded.append(name.split(".")[-1])
        )
    load_loops(Parameters(**changes))
    assert sorted(loaded) == sorted(expected)
