"""Sparsification: curves and areas that can be worked out on paper."""

from __future__ import annotations

import numpy as np
import pytest

from mtpano_model.metrics.sparsification import POINTS, Sparsification

RNG = np.random.default_rng(5)
SIZE = (128, 256)
TRUTH = np.full(SIZE, 4.0)
VALID = np.ones(SIZE, bool)
ERROR = RNG.uniform(0, 1, SIZE)


def measured(*frames: tuple[np.ndarray, np.ndarray]) -> Sparsification:
    found = Sparsification()
    for confidence, error in frames:
        found.update(confidence, TRUTH * (1 + error), TRUTH, VALID)
    return found


def test_an_oracle_leaves_nothing_between_the_curves() -> None:
    found = measured((1 - ERROR, ERROR))
    for curve in found.curves().values():
        # Of errors spread evenly, a share f taken from the top leaves (1 - f) of the mean.
        np.testing.assert_allclose(curve.oracle, 1 - np.array(POINTS), atol=0.01)
        np.testing.assert_allclose(curve.model, curve.oracle, atol=0.01)
    assert found.pooled()["ause_abs_rel"] == pytest.approx(0, abs=0.005)
    assert found.pooled()["ause_rmse"] == pytest.approx(0, abs=0.005)


def test_a_confidence_that_knows_nothing_leaves_the_whole_area() -> None:
    for confidence in (np.full(SIZE, 0.3), RNG.uniform(0, 1, SIZE)):
        found = measured((confidence, ERROR))
        np.testing.assert_allclose(found.curves()["abs_rel"].model, 1, atol=0.05)
        assert found.pooled()["ause_abs_rel"] == pytest.approx(0.95**2 / 2, abs=0.02)


def test_a_confidence_that_is_wrong_is_worse_than_none() -> None:
    assert measured((ERROR, ERROR)).pooled()["ause_abs_rel"] > 0.8


def test_a_frame_that_is_wrong_as_a_whole_is_to_be_trusted_less_than_another() -> None:
    right, wrong = np.full(SIZE, 0.02), np.full(SIZE, 0.5)
    good = measured((np.full(SIZE, 0.9), right), (np.full(SIZE, 0.1), wrong))
    bad = measured((np.full(SIZE, 0.5), right), (np.full(SIZE, 0.5), wrong))
    assert good.pooled()["ause_abs_rel"] == pytest.approx(0, abs=0.005)
    assert bad.pooled()["ause_abs_rel"] > 0.3
    assert good.pooled()["mean"] == pytest.approx(0.5)
    assert good.pooled()["within_10_percent"] == 0.5


def test_metres_and_shares_of_the_depth_are_told_apart() -> None:
    """Where near depth is wrong by half and far depth by a metre, each has its own oracle."""
    truth = np.where(np.arange(SIZE[1]) < 128, 0.5, 20.0) * np.ones(SIZE)
    depth = truth + np.where(truth < 1, 0.25, 1.0)
    found = Sparsification()
    found.update(np.where(truth < 1, 0.1, 0.9), depth, truth, VALID)  # doubts what is near
    assert found.pooled()["ause_abs_rel"] == pytest.approx(0, abs=0.005)
    assert found.pooled()["ause_rmse"] > 0.1


def test_what_is_not_predicted_or_not_known_is_left_out() -> None:
    found = Sparsification()
    depth = np.where(ERROR < 0.5, np.nan, TRUTH)
    assert found.update(np.full(SIZE, 0.7), depth, TRUTH, VALID)["within_10_percent"] == 1
    assert found.curves() == {}  # nothing is wrong
    assert found.update(np.full(SIZE, np.nan), TRUTH, TRUTH, VALID) == {}
    assert Sparsification().pooled() == {}
