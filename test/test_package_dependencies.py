"""What the code imports is what setup.py names, and the robot's half asks for nothing heavier."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"mtpano_model", "mtpano_ros", "benchmarks", "test"}
# ROS brings these itself (package.xml names them), or the extra `ros` does.
FROM_ROS = {
    "ament_index_python", "builtin_interfaces", "cv_bridge", "diagnostic_msgs", "geometry_msgs",
    "launch", "launch_pytest", "launch_ros", "lifecycle_msgs", "rcl_interfaces", "rclpy",
    "rosgraph_msgs", "sensor_msgs", "sensor_msgs_py", "std_msgs", "std_srvs", "vision_msgs",
}  # fmt: skip
# import name -> name on PyPI, where a dash for an underscore is not all
OTHER_NAMES = {
    "catkin_pkg": "catkin-pkg",
    "cuda": "cuda-bindings",
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
# A teacher that users install from its authors' repository; its absence is told in one sentence.
FROM_AUTHORS = {"moge"}
ROBOT_FOLDERS = ("mtpano_ros", "mtpano_model/inference")


def declared(*extras: str) -> set[str]:
    """Names of the distributions that setup.py asks for: always, and for these extras."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    table = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    requirements = table["ROBOT"] + [one for extra in extras for one in table["EXTRAS"][extra]]
    return {re.split(r"[<>=!~;\[ ]", one)[0].lower() for one in requirements}


def imported(*folders: str) -> dict[str, set[str]]:
    """distribution -> files of these folders that import it, standard library and ROS left out."""
    found: dict[str, set[str]] = {}
    local = OURS | {path.stem for path in (ROOT / "test").rglob("*")}
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module]
                for name in names:
                    top = name.partition(".")[0]
                    if top in sys.stdlib_module_names or top in local or top in FROM_ROS:
                        continue
                    distribution = OTHER_NAMES.get(top, top.replace("_", "-")).lower()
                    found.setdefault(distribution, set()).add(str(path.relative_to(ROOT)))
    return found


def test_every_import_is_declared():
    known = declared("cpu", "tensorrt", "bags", "speed", "train") | FROM_AUTHORS
    missing = {k: v for k, v in imported("mtpano_model", "mtpano_ros").items() if k not in known}
    assert not missing, "setup.py does not name what these files import"


def test_the_robots_half_needs_no_training_library():
    known = declared("cpu", "tensorrt", "bags", "speed")
    heavy = {k: v for k, v in imported(*ROBOT_FOLDERS).items() if k not in known}
    assert not heavy, "the robot's environment has none of these"


def test_what_the_tests_import_is_declared():
    known = declared("cpu", "tensorrt", "bags", "speed", "train", "test")
    missing = {k: v for k, v in imported("test").items() if k not in known}
    assert not missing, "the extra `test` does not name what these tests import"


def test_pins_name_only_declared_requirements():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if "==" in line}
    assert pinned <= declared("cpu", "tensorrt", "bags", "speed", "ros", "train", "test")


@pytest.mark.parametrize("module", ["mtpano_ros.node", "mtpano_ros.player", "mtpano_ros.snapshot"])
def test_executables_of_launch_and_ros2_run_exist(module):
    assert importlib.util.find_spec(module) is not None
