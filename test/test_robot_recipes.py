"""Recipes name topics that the node has, under the names that it gives them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from mtpano_model.classes import available_class_sets, load_class_set
from mtpano_model.robot.labelspace import labelspace

FOLDER = Path(__file__).parents[1] / "config" / "recipes"
RECIPES = sorted(FOLDER.iterdir())
TOPICS = {
    "points", "points/obstacles", "points/floor", "scan", "semantic", "confidence", "label_info",
    "range_grid", "camera_info", "depth/color", "semantic/color",
    *(f"views/NAME/{part}" for part in ("image", "depth", "semantic", "normals", "camera_info")),
}  # fmt: skip


TOPIC = re.compile(r"/mtpano/([A-Za-z_/]+)")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_can_be_read_and_names_our_topics(path):
    text = path.read_text(encoding="utf-8")
    assert yaml.safe_load(text)
    named = {re.sub("views/[a-z]+/", "views/NAME/", topic) for topic in TOPIC.findall(text)}
    assert named <= TOPICS
    assert named
    guide = (path.parents[2] / "docs" / "integration.md").read_text(encoding="utf-8")
    assert path.name in guide


def test_nvblox_is_told_the_grid_s_own_field_of_view():
    text = (FOLDER / "nvblox_lidar.yaml").read_text(encoding="utf-8")
    told = yaml.safe_load(text)["nvblox_node"]["ros__parameters"]
    assert told["lidar_width"] % 2 == 0
    fov = np.float32(told["lidar_vertical_fov_rad"])
    rows = told["lidar_height"]
    assert fov == pytest.approx(np.pi * (rows - 1) / rows, abs=1e-7)


def leaves(tree):
    """The panels of a layout's tree."""
    if isinstance(tree, str):
        return [tree]
    assert set(tree) == {"direction", "first", "second", "splitPercentage"}
    assert tree["direction"] in ("row", "column")
    return leaves(tree["first"]) + leaves(tree["second"])


def test_foxglove_s_layout_places_every_panel_once_and_takes_fields_that_we_send():
    layout = json.loads((FOLDER / "foxglove.json").read_text(encoding="utf-8"))
    panels = layout["configById"]
    assert sorted(leaves(layout["layout"])) == sorted(panels)
    # A panel's type stands before the mark.
    assert {panel.partition("!")[0] for panel in panels} <= {"3D", "Image", "DiagnosticSummary"}
    scene = panels["3D!mtpano"]["topics"]
    assert scene["/mtpano/points"]["colorField"] == "rgb"
    assert scene["/mtpano/scan"]["colorField"] in ("range", "intensity")


@pytest.mark.parametrize("name", available_class_sets())
def test_hydra_s_labelspace_names_every_class_once(name):
    classes = load_class_set(name)
    space = yaml.safe_load(labelspace(classes, 255))
    assert [entry["name"] for entry in space["label_names"]] == list(classes.names)
    assert [entry["label"] for entry in space["label_names"]] == list(range(len(classes)))
    assert space["total_semantic_labels"] == len(classes)
    groups = [set(space[f"{kind}_labels"]) for kind in ("object", "dynamic", "invalid")]
    assert not (groups[0] & groups[1])
    assert not (groups[0] & groups[2])
    assert 255 in groups[2]
    for word, group in (("chair", groups[0]), ("person", groups[1])):
        if word in classes.names:
            assert classes.names.index(word) in group
    first, *_ = space["surface_places_labels"]
    assert classes.names[first] in ("floor", "road")
