"""The whole engine on a room known in closed form, and on teachers that misbehave."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from perfect_teachers import CONFIG, HEIGHT, TRUTH, Fixed, Whole, _class, box

from mtpano_model.data.panorama import Panorama
from mtpano_model.data.pseudo_encoding import decode, encode
from mtpano_model.errors import MtpanoError
from mtpano_model.labels.engine import LabelEngine
from mtpano_model.labels.quality import LabelQuality
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.oracle import Oracle


def quality_of(labels) -> dict[str, float]:
    quality = LabelQuality()
    quality.add(decode(encode(labels), CONFIG.size), TRUTH)
    return quality.report()


def test_with_perfect_teachers_the_labels_are_nearly_the_truth():
    labels = LabelEngine([Oracle("indoor18")], CONFIG).label(box())
    report = quality_of(labels)
    assert report["depth_abs_rel"] < 0.005
    assert report["normals_mean_deg"] < 1
    assert report["class_agreement"] > 0.99
    assert report["coverage_depth"] > 0.95
    assert report["coverage_class"] > 0.99
    assert (labels.confidence[labels.classes != 255] > 0.3).all()
    assert labels.patches.shape == (24, 128, 128)


def test_the_joint_solve_removes_a_scale_that_drifts_from_patch_to_patch():
    labels = LabelEngine([Oracle("indoor18", scale_drift=0.2)], CONFIG).label(box())
    report = quality_of(labels)
    assert report["depth_abs_rel_aligned"] < 0.02
    # The drift was there: patches differ in scale as much as they were told to.
    assert 0.12 < np.std(labels.facts["patch_log_scale"]) < 0.3


def test_labels_follow_from_name_and_seed():
    engine = LabelEngine([Oracle("indoor18", 0.1)], CONFIG)
    first, again = engine.label(box()), engine.label(box())
    np.testing.assert_array_equal(first.depth, again.depth)
    assert encode(first) == encode(again)
    assert np.abs(engine.label(box("other")).views - first.views).max() > 1


def test_a_finer_or_coarser_picture_gets_labels_of_the_canvas_size():
    for height in (32, 300):
        panorama = Panorama("grey", np.full((height, 2 * height, 3), 128, np.uint8))
        seen = []
        teacher = Fixed(("semseg",), lambda p, v, seen=seen: seen.append(p) or _class(v, 3))
        labels = LabelEngine([teacher], CONFIG).label(panorama)
        assert labels.image.shape == (HEIGHT, 2 * HEIGHT, 3)
        assert set(np.unique(labels.classes)) <= {3, 255}
        assert seen[0].dtype == torch.uint8
        assert (seen[0] == 128).all()


def test_nan_and_nonsense_of_a_teacher_is_left_out(caplog):
    oracle = Oracle("indoor18")
    count = 0

    def spoiled(patches, views):
        nonlocal count
        labels = oracle.label(patches, views, box())
        if count == 0:
            labels.depth[:] = math.nan  # whole patches
        labels.depth[..., :20] = math.inf
        labels.depth[..., 20:30, :] = -3
        labels.normals[..., :20] = math.nan
        labels.normals[:, :, :10] = 0
        labels.confidence = torch.ones_like(labels.depth)
        labels.confidence[..., :20] = math.nan
        labels.classes[..., :20] = 7
        count += 1
        return labels

    labels = LabelEngine([Fixed(oracle.tasks, spoiled)], CONFIG).label(box())
    for array in (labels.depth, labels.normals, labels.confidence, labels.patches):
        assert np.isfinite(array).all()
    report = quality_of(labels)
    assert report["depth_abs_rel"] < 0.005
    assert report["normals_mean_deg"] < 1
    assert report["class_agreement"] > 0.99
    assert "box: 4 of 24 patches have no usable depth" in caplog.text


def test_normals_of_a_depth_edge_are_dropped_with_its_depth():
    """Two walls, one behind the other, and between them normals of neither."""

    def step(patches, views):
        shape = (len(patches), 1, 128, 128)
        depth = torch.full(shape, 2.0)
        depth[..., 64:] = 4
        normals = torch.zeros(len(patches), 3, 128, 128)
        normals[:, 2] = -1
        normals[..., 63:65] = torch.tensor([1.0, 0, 0])[:, None, None]
        return TeacherLabels(depth=depth, normals=normals)

    config = replace(CONFIG, patches=1, pitch_deg=(0.0, 0.0))
    labels = LabelEngine([Fixed(("depth", "normals"), step)], config).label(box())
    known = labels.normals.any(-1)
    wall = labels.normals[known][0]
    assert known.sum() > 300
    np.testing.assert_allclose(labels.normals[known], np.tile(wall, (known.sum(), 1)), atol=1e-5)


def test_a_truth_without_any_depth_keeps_its_classes():
    blind = replace(TRUTH, depth_valid=torch.zeros_like(TRUTH.depth_valid))
    panorama = Panorama("blind", box().image, blind)
    labels = LabelEngine([Oracle("indoor18", 0.2)], CONFIG).label(panorama)
    assert not labels.depth.any()
    assert not labels.patches.any()
    assert (labels.classes != 255).mean() > 0.99
    members = encode(labels)
    assert "depth" not in members
    assert not [kind for kind in members if kind.startswith("patch")]


def test_tasks_come_from_one_teacher_each():
    with pytest.raises(MtpanoError, match="'oracle' and 'whole' both label normals"):
        LabelEngine([Oracle("indoor18"), Whole(("normals",))], CONFIG)
    with pytest.raises(MtpanoError, match="no teacher"):
        LabelEngine([], CONFIG)
    level = Fixed(("semseg",), None, (-10.0, 10.0))
    down = Fixed(("depth",), None, (-90.0, -60.0))
    with pytest.raises(MtpanoError, match="fixed, fixed prefer pitch ranges that do not overlap"):
        LabelEngine([level, down], CONFIG)
    assert LabelEngine([level], CONFIG).pitch_deg == (-10.0, 10.0)


@pytest.mark.parametrize(("sure", "winner"), [(0.9, 3), (0.4, 5)])
def test_teachers_of_classes_vote_together_by_confidence(sure: float, winner: int):
    def says(number: int, confidence: float):
        def label(patches, views):
            labels = _class(views, number)
            shape = (len(views), 1, *views.size)
            return replace(labels, confidence=torch.full(shape, confidence))

        return Fixed(("semseg",), label)

    labels = LabelEngine([says(3, sure), says(5, 0.6)], CONFIG).label(box())
    assert (labels.classes == winner).all()
    np.testing.assert_allclose(labels.confidence, max(sure, 0.6) / 2, atol=1e-5)


def test_whole_panorama_teachers_need_no_patches():
    labels = LabelEngine([Whole(("depth", "normals", "semseg"))], CONFIG).label(box())
    report = quality_of(labels)
    assert report["coverage_depth"] == pytest.approx(60 / 64)
    assert report["depth_abs_rel"] < 0.001
    assert report["class_agreement"] == 1
    assert labels.confidence.max() == 0.5
    assert len(labels.patches) == len(labels.views) == 0


def test_patch_and_panorama_teachers_share_the_tasks():
    teachers = [Fixed(("semseg",), lambda p, v: _class(v, 2)), Whole(("depth",))]
    labels = LabelEngine(teachers, CONFIG).label(box())
    assert set(np.unique(labels.classes)) <= {2, 255}
    assert quality_of(labels)["depth_abs_rel"] < 0.001
    assert not labels.normals.any()


def test_the_oracle_says_when_there_is_no_truth():
    engine = LabelEngine([Oracle("indoor18")], CONFIG)
    with pytest.raises(MtpanoError, match="needs ground truth and 'plain' has none"):
        engine.label(Panorama("plain", np.zeros((64, 128, 3), np.uint8)))
