"""Imports point one way: a package imports from lower layers alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From the lowest up; what shares a layer knows nothing of each other.
LAYERS = (
    ("engine_names", "errors", "markdown", "memory", "standard_streams", "tasks", "whole_files"),
    ("addresses", "stored_files"),
    ("command_line",),
    (
        "classes",
        "geometry",
        "last_resort",
        "progress_bar",
        "settings",
        "torch_device",
    ),
    ("pictures",),
    ("graph", "network", "rig", "video"),
    ("shots",),
    ("inference",),
    ("clouds", "robot"),
    ("drawing", "metrics"),
    ("data", "doctor", "export", "worlds"),
    ("labels", "training"),
    ("evaluation",),
    ("commands",),
)
ROBOT = {
    "addresses",
    "classes",
    "clouds",
    "command_line",
    "doctor",
    "drawing",
    "engine_names",
    "errors",
    "geometry",
    "graph",
    "inference",
    "last_resort",
    "memory",
    "pictures",
    "rig",
    "robot",
    "shots",
    "standard_streams",
    "stored_files",
    "video",
    "whole_files",
}
NODE_LAYERS = (
    ("topics", "refused_transitions"),
    ("camera", "parameters", "doctor"),
    ("mounting",),
    ("outputs", "watch"),
    ("frames", "process"),
    ("listening", "tools"),
    ("node",),
    ("start",),
)


def ours(file: Path, package: str = "mtpano_model") -> set[str]:
    """Modules and packages right below `package` that a file imports, wherever in it."""
    names = [
        node.module or ""
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    ]
    return {name.split(".")[1] for name in names if name.startswith(f"{package}.")}


@pytest.mark.parametrize(
    ("package", "layers"), [("mtpano_model", LAYERS), ("mtpano_ros", NODE_LAYERS)]
)
def test_a_package_imports_from_lower_layers_alone(
    package: str, layers: tuple[tuple[str, ...], ...]
) -> None:
    level = {name: height for height, names in enumerate(layers) for name in names}
    wrong = []
    for file in sorted((ROOT / package).rglob("*.py")):
        own = file.relative_to(ROOT / package).parts[0].removesuffix(".py")
        if not own.startswith("__"):
            upward = [name for name in ours(file, package) - {own} if level[name] >= level[own]]
            wrong += [f"{file.relative_to(ROOT)} imports {name}" for name in upward]
    assert wrong == []


def test_the_node_needs_the_robot_s_half_alone() -> None:
    for file in sorted((ROOT / "mtpano_ros").rglob("*.py")):
        assert ours(file) <= ROBOT, file.name


def test_the_map_has_a_line_for_every_part_of_both_packages() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    parts = [
        part
        for package in ("mtpano_model", "mtpano_ros")
        for part in sorted((ROOT / package).iterdir())
        if part.suffix == ".py" or (part / "__init__.py").is_file()
    ]
    names = [part.name if part.suffix else f"{part.name}/" for part in parts]
    assert [name for name in names if not name.startswith("__") and f"`{name}`" not in text] == []
