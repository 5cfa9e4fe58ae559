"""Metrics of semantics against torchmetrics, scikit-learn and cases done by hand."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
import torch
import torchmetrics
from metric_cases import AREAS, PLAIN, RNG, SIZE, some_classes

from mtpano_model.classes import IGNORE, load_class_set
from mtpano_model.geometry.sphere import solid_angles
from mtpano_model.metrics.protocols import find_protocol
from mtpano_model.metrics.semseg import SemsegMetrics


def some_labels(frames: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    truth = RNG.integers(0, count, (frames, *SIZE)).astype(np.uint8)
    noise = RNG.integers(0, count, truth.shape).astype(np.uint8)
    prediction = np.where(RNG.random(truth.shape) < 0.6, truth, noise)
    truth[RNG.random(truth.shape) < 0.1] = IGNORE
    return prediction, truth


def test_semantics_agree_with_torchmetrics_and_scikit_learn() -> None:
    prediction, truth = some_labels(3, 7)
    metrics = SemsegMetrics(PLAIN, some_classes(7))
    for p, t in zip(prediction, truth, strict=True):
        metrics.update(p, t, AREAS)
    index = torchmetrics.JaccardIndex("multiclass", num_classes=7, ignore_index=IGNORE)
    known = truth != IGNORE
    expected = index(torch.from_numpy(prediction), torch.from_numpy(truth).long()).item()
    figures = metrics.pooled()
    assert figures["miou"] == pytest.approx(expected, rel=1e-6)
    ious = sklearn.metrics.jaccard_score(truth[known], prediction[known], average=None)
    np.testing.assert_allclose(list(metrics.class_iou().values()), ious)
    accuracy = sklearn.metrics.accuracy_score(truth[known], prediction[known])
    assert figures["pixel_accuracy"] == pytest.approx(accuracy)
    confusion = sklearn.metrics.confusion_matrix(truth[known], prediction[known])
    np.testing.assert_array_equal(metrics.confusion[:, :-1], confusion)
    weights = np.broadcast_to(AREAS, truth.shape)[known]
    weighted = sklearn.metrics.accuracy_score(
        truth[known], prediction[known], sample_weight=weights
    )
    assert metrics.cos_weighted()["pixel_accuracy"] == pytest.approx(weighted)


def test_absent_classes_do_not_count_and_invented_ones_do() -> None:
    """Truth: 0 and 1. Predicted: 0, and 3 for half of the ones. Class 2 is in neither."""
    metrics = SemsegMetrics(PLAIN, some_classes(4))
    metrics.update(np.array([[0, 0, 1, 3]]), np.array([[0, 0, 1, 1]]), np.ones((1, 1)))
    assert metrics.class_iou() == {"class 0": 1, "class 1": 0.5, "class 2": None, "class 3": 0}
    assert metrics.pooled()["miou"] == pytest.approx((1 + 0.5 + 0) / 3)


def test_rooms_score_common_classes_and_report_all_beside() -> None:
    """Class 1 has 1 pixel of 2048 (below 0.1 %), and it is missed; class 2 is invented once."""
    truth = np.zeros((32, 64), np.uint8)
    truth[0, 0], prediction = 1, np.zeros((32, 64), np.uint8)
    prediction[5, 5] = 2
    metrics = SemsegMetrics(find_protocol("rooms"), some_classes(3))
    metrics.update(prediction, truth, solid_angles(32, 64))
    figures = metrics.pooled()
    assert figures["miou"] == figures["miou_common_classes"] == pytest.approx(2046 / 2048)
    assert figures["miou_all_classes"] == pytest.approx(2046 / 2048 / 3)
    assert metrics.class_share()["class 1"] == pytest.approx(1 / 2048)


def test_structured3d_reports_29_classes() -> None:
    nyu = load_class_set("nyu40")
    protocol = find_protocol("structured3d")
    assert len(nyu) - len(set(protocol.unscored)) == 29
    assert {nyu.names[i] for i in protocol.unscored} >= {"bookshelf", "blinds", "person"}
    metrics = SemsegMetrics(protocol, nyu)
    truth = np.array([[0, 0, 9, 9]])  # walls right, bookshelves (not scored) wrong
    metrics.update(np.array([[0, 0, 1, 1]]), truth, np.ones((1, 1)))
    assert metrics.pooled()["miou"] == pytest.approx((1 + 0) / 2)  # wall 1, floor invented 0


def test_a_prediction_without_counterpart_is_wrong() -> None:
    metrics = SemsegMetrics(PLAIN, some_classes(2))
    metrics.update(np.array([[0, IGNORE]]), np.array([[0, 0]]), np.ones((1, 1)))
    assert metrics.pooled()["pixel_accuracy"] == 0.5
    assert metrics.class_iou() == {"class 0": 0.5, "class 1": None}


def test_unlabelled_frames_add_nothing() -> None:
    metrics = SemsegMetrics(PLAIN, some_classes(2))
    assert metrics.update(np.zeros((1, 2)), np.full((1, 2), IGNORE), np.ones((1, 1))) == {}
    assert metrics.pooled() == {}
