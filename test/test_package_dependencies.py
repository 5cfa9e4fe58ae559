"""What the code imports is what setup.py and package.xml name; the robot's half stays light."""

from __future__ import annotations

import ast
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).parents[1]
OURS = {"mtpano_model", "mtpano_ros", "benchmarks", "test"}
# import name -> name on PyPI, where a dash for an underscore is not all
OTHER_NAMES = {
    "catkin_pkg": "catkin-pkg",
    "cuda": "cuda-bindings",
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "tf2_ros": "tf2-ros-py",
    "yaml": "pyyaml",
}
# A teacher that users install from its authors' repository, and the people of worlds, made in an
# environment of their own by `./run worlds`; their absence is told in one sentence.
INSTALLED_APART = {"moge", "anny"}
ROBOT_FOLDERS = ("mtpano_ros", "mtpano_model/inference")


def declared(*extras: str) -> set[str]:
    """Names of the distributions that setup.py asks for: always, and for these extras."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    table = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in ("ROBOT", "EXTRAS")
    }
    requirements = table["ROBOT"] + [one for extra in extras for one in table["EXTRAS"][extra]]
    return {re.split(r"[<>=!~;\[ ]", one)[0].lower() for one in requirements}


def from_ros(*kinds: str) -> set[str]:
    """Packages of ROS that package.xml names in elements of these kinds, in setup.py's spelling."""
    root = ElementTree.parse(ROOT / "package.xml").getroot()
    named = {(one.text or "").replace("_", "-") for kind in kinds for one in root.iter(kind)}
    return {name for name in named if not name.startswith("python3-")}


def imported(*folders: str) -> dict[str, set[str]]:
    """distribution -> files of these folders that import it, standard library left out."""
    found: dict[str, set[str]] = {}
    local = OURS | {path.stem for path in (ROOT / "test").rglob("*")}
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            if path.name.startswith("blender_"):  # run by Blender's own Python
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module]
                for name in names:
                    top = name.partition(".")[0]
                    if top in sys.stdlib_module_names or top in local:
                        continue
                    distribution = OTHER_NAMES.get(top, top.replace("_", "-")).lower()
                    found.setdefault(distribution, set()).add(str(path.relative_to(ROOT)))
    return found


def test_every_import_is_declared():
    known = declared(
        "cpu", "tensorrt", "bags", "speed", "train", "video", "ray", "data"
    ) | from_ros("exec_depend")
    found = imported("mtpano_model", "mtpano_ros", "launch")
    missing = {k: v for k, v in found.items() if k not in known | INSTALLED_APART}
    assert not missing, "neither setup.py nor package.xml names what these files import"


def test_the_robots_half_needs_no_training_library():
    known = declared("cpu", "tensorrt", "bags", "speed", "video") | from_ros("exec_depend")
    heavy = {k: v for k, v in imported(*ROBOT_FOLDERS).items() if k not in known}
    assert not heavy, "the robot's environment has none of these"


def test_what_the_tests_import_is_declared():
    known = declared("cpu", "tensorrt", "bags", "speed", "train", "ray", "data", "test")
    known |= from_ros("exec_depend", "test_depend")
    missing = {k: v for k, v in imported("test").items() if k not in known}
    assert not missing, "neither the extra `test` nor package.xml names what these tests import"


def test_the_manifest_names_only_what_is_imported():
    assert from_ros("exec_depend") <= imported("mtpano_ros", "launch").keys()
    assert from_ros("test_depend") <= imported("test").keys()


def test_pins_name_only_declared_requirements():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if "==" in line}
    assert pinned <= declared("cpu", "tensorrt", "bags", "speed", "ros", "train", "test", "video")
