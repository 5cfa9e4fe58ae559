"""Losses against the release's values: every term, and the parts of each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from loss_configs import RELEASED
from torch import Tensor

from mtpano_model.evaluation.losses_parity import (
    fixture_batch,
    fixture_predictions,
    read_fixture,
)
from mtpano_model.training.losses import depth_loss, normals_loss, semseg_loss
from mtpano_model.training.multi_task import multi_task_loss

MAIN = ("semseg", "depth", "normals")


@pytest.fixture(scope="module")
def release(reference: Path) -> tuple[dict[str, Tensor], dict]:
    return read_fixture(reference / "losses_a")


def test_every_term_has_the_release_s_value(release) -> None:
    tensors, values = release
    ours = multi_task_loss(fixture_predictions(tensors), fixture_batch(tensors), RELEASED)
    names = {f"aux_{name}": f"initial.{name}" for name in MAIN}
    names |= {"ext_sdf": "auxiliary.edf", "ext_grad": "auxiliary.grad"}
    names |= {"ext_point": "auxiliary.point"}
    assert len(values["losses"]) == 10
    for name, value in values["losses"].items():
        assert ours[names.get(name, name)].item() == pytest.approx(value, rel=1e-4), name


def test_parts_have_the_release_s_values(release) -> None:
    tensors, values = release
    valid = tensors["valid"]
    depth = tensors["pred.depth"], tensors["gt.depth"], valid
    normals = tensors["pred.normals"], tensors["gt.normals"], valid
    semseg = tensors["pred.semseg"], tensors["gt.semseg"][:, 0]
    no_depth_edge, no_normals_edge = (
        replace(RELEASED, depth_edge=0),
        replace(RELEASED, normals_edge=0),
    )
    ours = {
        "depth.l1_only": depth_loss(*depth, replace(no_depth_edge, depth_frequency=0)),
        "depth.l1_plus_edge": depth_loss(*depth, replace(RELEASED, depth_frequency=0)),
        "depth.l1_plus_freq": depth_loss(*depth, no_depth_edge),
        "normals.l1_only": normals_loss(*normals, replace(no_normals_edge, normals_frequency=0)),
        "normals.l1_plus_edge": normals_loss(*normals, replace(RELEASED, normals_frequency=0)),
        "normals.l1_plus_freq": normals_loss(*normals, no_normals_edge),
        "semseg.ce_only": semseg_loss(*semseg, replace(RELEASED, dice=0)),
        "semseg.dice_only": semseg_loss(*semseg, replace(RELEASED, cross_entropy=0)),
    }
    assert ours.keys() == values["parts"].keys()
    for name, value in values["parts"].items():
        assert ours[name].item() == pytest.approx(value, rel=1e-4), name
