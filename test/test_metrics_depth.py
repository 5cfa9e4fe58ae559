"""Metrics of depth against torchmetrics and cases done by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchmetrics
from metric_cases import AREAS, PLAIN, SIZE, some_depth

from mtpano_model.metrics.depth import DepthMetrics
from mtpano_model.metrics.figures import mean_figures
from mtpano_model.metrics.protocols import find_protocol


def test_depth_by_hand() -> None:
    """Errors of 1 m on 2 m and 2 m on 10 m."""
    metrics = DepthMetrics(PLAIN)
    figures = metrics.update(
        np.array([[3.0, 8.0]]), np.array([[2.0, 10.0]]), np.ones((1, 2), bool), np.ones((1, 1))
    )
    assert figures == metrics.pooled()
    assert figures["abs_rel"] == pytest.approx((0.5 + 0.2) / 2)
    assert figures["sq_rel"] == pytest.approx((0.5 + 0.4) / 2)
    assert figures["rmse"] == pytest.approx(np.sqrt((1 + 4) / 2))
    assert figures["rmse_log"] == pytest.approx(np.sqrt((np.log(1.5) ** 2 + np.log(0.8) ** 2) / 2))
    # Ratios 1.5 and 1.25: the limit itself does not count as within.
    assert (figures["delta1"], figures["delta2"], figures["delta3"]) == (0.0, 1.0, 1.0)


def test_depth_pooled_agrees_with_torchmetrics() -> None:
    prediction, truth, valid = some_depth(3)
    metrics = DepthMetrics(PLAIN)
    for p, t, v in zip(prediction, truth, valid, strict=True):
        metrics.update(p, t, v, AREAS)
    p, t = torch.from_numpy(prediction[valid]), torch.from_numpy(truth[valid])
    figures = metrics.pooled()
    rmse = torchmetrics.MeanSquaredError(squared=False)
    log_mse = torchmetrics.MeanSquaredError(squared=False)
    abs_rel = torchmetrics.MeanAbsolutePercentageError()
    assert figures["rmse"] == pytest.approx(rmse(p, t).item(), rel=1e-6)
    assert figures["rmse_log"] == pytest.approx(log_mse(p.log(), t.log()).item(), rel=1e-6)
    assert figures["abs_rel"] == pytest.approx(abs_rel(p, t).item(), rel=1e-6)
    delta = np.mean(np.maximum(prediction / truth, truth / prediction)[valid] < 1.25)
    assert figures["delta1"] == pytest.approx(delta)


def test_depth_per_image_and_by_solid_angle() -> None:
    prediction, truth, valid = some_depth(2)
    metrics = DepthMetrics(PLAIN)
    maps = zip(prediction, truth, valid, strict=True)
    found = [metrics.update(p, t, v, AREAS) for p, t, v in maps]
    error = np.abs(prediction - truth) / truth
    frames = [error[i][valid[i]].mean() for i in range(2)]
    assert mean_figures(found)["abs_rel"] == pytest.approx(np.mean(frames))
    weight = np.broadcast_to(AREAS, error.shape)
    expected = np.average(error[valid], weights=weight[valid])
    assert metrics.cos_weighted()["abs_rel"] == pytest.approx(expected)
    assert metrics.cos_weighted()["abs_rel"] != pytest.approx(metrics.pooled()["abs_rel"], rel=1e-4)


def test_median_alignment_forgives_a_scale_a_frame() -> None:
    _, truth, valid = some_depth(2)
    metrics, asked = DepthMetrics(PLAIN), DepthMetrics(PLAIN)
    for t, v, scale in zip(truth, valid, (0.4, 3.0), strict=True):
        metrics.update(t * scale, t, v, AREAS)
        assert asked.update(t * scale, t, v, AREAS, align=True)["delta1"] == pytest.approx(1)
    assert metrics.pooled()["abs_rel"] > 0.5
    assert metrics.median_aligned()["abs_rel"] == pytest.approx(0, abs=1e-12)
    assert asked.pooled()["abs_rel"] == pytest.approx(0, abs=1e-12)


def test_a_capped_protocol_drops_far_truth_and_clamps_predictions() -> None:
    truth, prediction = np.array([[5.0, 9.0, 10.0, 20.0]]), np.array([[5.0, 40.0, 1.0, 1.0]])
    everywhere = np.ones((1, 4), bool)
    figures = DepthMetrics(find_protocol("matterport3d")).update(
        prediction, truth, everywhere, np.ones((1, 1))
    )
    assert figures["abs_rel"] == pytest.approx((1 / 9) / 2)  # 40 m counts as 10 m, two pixels


def test_the_authors_matterport_protocol_takes_decades() -> None:
    prediction, truth, valid = some_depth(1)
    natural = DepthMetrics(find_protocol("matterport3d"))
    decades = DepthMetrics(find_protocol("360mtl"))
    for metrics in (natural, decades):
        metrics.update(prediction[0], truth[0], valid[0], AREAS)
    ratio = natural.pooled()["rmse_log"] / decades.pooled()["rmse_log"]
    assert ratio == pytest.approx(np.log(10))


def test_depth_that_is_not_finite_or_negative_counts_as_wrong() -> None:
    truth = np.full((1, 4), 2.0)
    figures = DepthMetrics(PLAIN).update(
        np.array([[np.nan, np.inf, -np.inf, -3.0]]), truth, np.ones((1, 4), bool), np.ones((1, 1))
    )
    assert all(np.isfinite(list(figures.values())))
    assert figures["delta3"] == 0


def test_a_frame_without_valid_depth_adds_nothing() -> None:
    prediction, truth, valid = some_depth(1)
    metrics = DepthMetrics(PLAIN)
    assert metrics.update(prediction[0], truth[0], np.zeros(SIZE, bool), AREAS) == {}
    assert metrics.pooled() == metrics.median_aligned() == {}
    full = metrics.update(prediction[0], truth[0], valid[0], AREAS)
    assert metrics.pooled() == pytest.approx(full)
