"""Metrics of normals against scikit-learn, sorted angles and cases done by hand."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
from metric_cases import AREAS, PLAIN, RNG, SIZE, some_normals

from mtpano_model.metrics.normals import NormalsMetrics, angles_deg, exact_figures
from mtpano_model.metrics.protocols import find_protocol


def test_angles_by_hand() -> None:
    a = np.array([[0, 0, -1.0], [0, 0, -1.0], [0, 0, -2.0], [1.0, 0, 0]])
    b = np.array([[0, 0, -1.0], [0, -3.0, 0], [0, 0, 5.0], [1.0, 1.0, 0]])
    np.testing.assert_allclose(angles_deg(a, b), [0, 90, 180, 45], atol=1e-12)


def test_tiny_angles_keep_their_digits() -> None:
    angle = 1e-5
    a, b = np.array([[0, 0, 1.0]]), np.array([[np.sin(angle), 0, np.cos(angle)]])
    assert angles_deg(a, b)[0] == pytest.approx(np.rad2deg(angle), rel=1e-6)


def test_vectors_that_say_nothing_are_90_degrees_off() -> None:
    nothing = np.array([[0.0, 0, 0], [np.nan, 0, 1]])
    np.testing.assert_allclose(angles_deg(nothing, np.array([[0, 1.0, 0]] * 2)), 90)


def test_normals_pooled_agree_with_arccos_of_scikit_learn() -> None:
    prediction, truth, valid = some_normals(2)
    metrics = NormalsMetrics(PLAIN)
    for p, t, v in zip(prediction, truth, valid, strict=True):
        metrics.update(p, t, v, AREAS)
    cosine = 1 - sklearn.metrics.pairwise.paired_cosine_distances(prediction[valid], truth[valid])
    angles = np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))
    figures = metrics.pooled()
    assert figures["mean_deg"] == pytest.approx(angles.mean(), rel=1e-9)
    assert figures["median_deg"] == pytest.approx(np.median(angles), abs=0.003)
    assert figures["rmse_deg"] == pytest.approx(np.sqrt((angles**2).mean()), rel=1e-9)
    assert figures["within_11_25"] == pytest.approx((angles < 11.25).mean())
    assert figures["within_30"] == pytest.approx((angles < 30).mean())


def test_streamed_median_is_exact_to_a_bin() -> None:
    """On 200k pixels the histogram's median is the sorted one to 0.003 degrees."""
    angles = np.abs(RNG.normal(20, 12, (200, 1000)))
    truth = np.broadcast_to([0.0, 0, 1], (200, 1000, 3))
    turned = np.stack([np.sin(np.deg2rad(angles)), 0 * angles, np.cos(np.deg2rad(angles))], -1)
    metrics = NormalsMetrics(PLAIN)
    metrics.update(turned, truth, np.ones(angles.shape, bool), np.ones((200, 1)))
    assert metrics.pooled()["median_deg"] == pytest.approx(np.median(angles), abs=0.003)


def test_normals_by_solid_angle() -> None:
    prediction, truth, valid = some_normals(1)
    metrics = NormalsMetrics(PLAIN)
    metrics.update(prediction[0], truth[0], valid[0], AREAS)
    weights = np.broadcast_to(AREAS, SIZE)[valid[0]]
    angles = angles_deg(prediction[0], truth[0])[valid[0]]
    expected = np.average(angles, weights=weights)
    assert metrics.cos_weighted()["mean_deg"] == pytest.approx(expected)


def test_the_authors_matterport_protocol_counts_invalid_normals_as_right() -> None:
    """Strict 90 degrees on half the pixels becomes 45 on all; batches of one frame are averaged."""
    truth = np.broadcast_to([0.0, 0, -1], (*SIZE, 3))
    wrong = np.broadcast_to([1.0, 0, 0], (*SIZE, 3))
    half, quarter = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    half[:, :16], quarter[:, :8] = True, True
    strict = NormalsMetrics(find_protocol("matterport3d"))
    authors = NormalsMetrics(find_protocol("360mtl"))
    for metrics in (strict, authors):
        metrics.update(wrong, truth, half, AREAS)
        metrics.update(wrong, truth, quarter, AREAS)
    assert strict.pooled()["mean_deg"] == pytest.approx(90)
    assert authors.pooled()["mean_deg"] == pytest.approx((45 + 22.5) / 2)
    assert authors.pooled()["within_11_25"] == pytest.approx((0.5 + 0.75) / 2)


def test_exact_figures_by_hand() -> None:
    figures = exact_figures(np.array([0.0, 10, 20, 40]))
    assert figures == pytest.approx(
        {
            "mean_deg": 17.5,
            "median_deg": 15,
            "rmse_deg": np.sqrt(2100 / 4),
            "within_11_25": 0.5,
            "within_22_5": 0.75,
            "within_30": 0.75,
        }
    )
