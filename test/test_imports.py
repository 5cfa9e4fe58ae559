"""Imports point one way: a package imports from lower layers alone."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
# From the lowest up; what shares a layer knows nothing of each other.
LAYERS = (
    ("errors", "memory", "tasks"),
    ("classes", "geometry", "picture_size", "torch_device"),
    ("bags", "inference", "metrics", "network"),
    ("data", "doctor", "export"),
    ("labels", "training"),
    ("evaluation",),
    ("commands",),
)
LAYER = {name: level for level, names in enumerate(LAYERS) for name in names}
ROBOT = {"bags", "classes", "doctor", "errors", "geometry", "inference", "memory", "picture_size"}


def ours(file: Path) -> set[str]:
    """Modules and packages right below mtpano_model that a file imports, wherever in it."""
    names = [
        node.module or ""
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
    ]
    return {name.split(".")[1] for name in names if name.startswith("mtpano_model.")}


def test_a_package_imports_from_lower_layers_alone() -> None:
    wrong = []
    for file in sorted((ROOT / "mtpano_model").rglob("*.py")):
        own = file.relative_to(ROOT / "mtpano_model").parts[0].removesuffix(".py")
        if not own.startswith("__"):
            upward = [name for name in ours(file) - {own} if LAYER[name] >= LAYER[own]]
            wrong += [f"{file.relative_to(ROOT)} imports {name}" for name in upward]
    assert wrong == []


def test_the_node_needs_the_robot_s_half_alone() -> None:
    for file in sorted((ROOT / "mtpano_ros").rglob("*.py")):
        assert ours(file) <= ROBOT, file.name
