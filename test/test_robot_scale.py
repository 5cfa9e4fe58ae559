"""One factor a frame from the floor brings metres back; points that hang go, sure ones stay."""

from __future__ import annotations

import numpy as np
import pytest
from robot_room import FLOOR_ID, HEIGHT, TABLE_ID, TILTS, down_after, neighbourhood, seen

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry import sphere
from mtpano_model.robot.confidence import (
    agreement,
    best_probability,
    confidence,
    normals_of_depth,
)
from mtpano_model.robot.scale import FloorView, MetricScale, floor_view

SIZE = (128, 256)
GOOD = FloorView(HEIGHT, 0.6, 0.01)


@pytest.mark.parametrize(("axis", "angle"), TILTS)
@pytest.mark.parametrize("size", [SIZE, (256, 512)])
def test_the_floor_is_where_the_room_has_it(axis, angle, size):
    down = down_after(axis, angle)
    depth, _, ids = seen(down, size)
    ids = np.where(ids == TABLE_ID, FLOOR_ID, ids)  # a mistake of the network
    found = floor_view(depth / 3, ids, down, (FLOOR_ID,))
    assert found.height == pytest.approx(HEIGHT / 3, rel=1e-3)
    assert found.reliable
    assert 0.3 < found.share < 1


def test_a_hall_predicted_a_third_as_large_comes_back_to_its_size():
    depth, _, ids = seen(np.array([0.0, 1, 0]), SIZE)
    small = floor_view(depth / 3, ids, np.array([0.0, 1, 0]), (FLOOR_ID,))
    scale = MetricScale(HEIGHT).update(small, 0.0)
    assert scale.factor == pytest.approx(3, rel=1e-3)
    assert scale.trusted


def test_small_factors_are_noise_and_are_left_out():
    for factor, applied in ((1.1, False), (0.9, False), (1.25, True), (0.7, True)):
        found = MetricScale(HEIGHT).update(FloorView(HEIGHT / factor, 0.5, 0.01), 0.0).factor
        assert found == pytest.approx(factor if applied else 1)


def test_a_factor_follows_in_time_and_does_not_flicker_at_the_deadband():
    scale = MetricScale(1.2, deadband=0.2, seconds=1.0)
    assert scale.update(FloorView(0.6, 0.5, 0.01), 0.0).factor == pytest.approx(2)
    assert 1.9 < scale.update(FloorView(1.2, 0.5, 0.01), 0.05).factor < 2
    factors = [scale.update(FloorView(1.2, 0.5, 0.01), 0.1 + k / 10).factor for k in range(100)]
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] == 1
    near = MetricScale(1.2, deadband=0.2, seconds=0)
    applied = [
        near.update(FloorView(1.2 / f, 0.5, 0.01), k).factor > 1
        for k, f in enumerate((1.19, 1.21, 1.19, 1.21, 1.15, 1.05, 1.19))
    ]
    assert applied == [False, True, True, True, True, False, False]


def test_without_a_floor_the_last_factor_holds_and_at_first_it_is_told():
    scale = MetricScale(1.2)
    for bad in (FloorView(np.nan, 0, np.inf), FloorView(0.4, 0.01, 0.01), FloorView(0.4, 0.5, 0.5)):
        first = MetricScale(1.2).update(bad, 0.0)
        assert (first.factor, first.trusted) == (1, False)
        assert "no floor" in first.reason
        scale.update(FloorView(0.6, 0.5, 0.01), 0.0)
        assert scale.update(bad, 1.0).factor == pytest.approx(2)


@pytest.mark.parametrize(("height", "trusted"), [(0.5, False), (0.79, False), (1.2, True),
                                                 (2.19, True), (2.5, False)])  # fmt: skip
def test_without_a_height_an_implausible_one_is_told_and_nothing_corrected(height, trusted):
    scale = MetricScale().update(FloorView(height, 0.5, 0.01), 0.0)
    assert scale.factor == 1
    assert scale.trusted is trusted
    assert trusted == ("scale not to be trusted" not in scale.reason)
    assert MetricScale().update(FloorView(height, 0.001, 0.01), 0.0).trusted


@pytest.mark.parametrize("height", [0, -1, 40, np.nan, np.inf])
def test_a_camera_height_that_cannot_be_is_refused(height):
    with pytest.raises(MtpanoError, match=r"camera height .* expected 0.05 to 20 metres"):
        MetricScale(height)


@pytest.mark.parametrize("values", [(-0.1, 1), (1, 1), (0.1, -1), (np.nan, 1), (0.1, np.inf)])
def test_a_senseless_deadband_is_refused(values):
    with pytest.raises(MtpanoError, match="deadband"):
        MetricScale(1.2, *values)


# --- confidence -----------------------------------------------------------------------------------


def test_probability_is_the_softmax_s_best():
    logits = np.log(np.array([0.1, 0.7, 0.2], np.float32))[:, None, None] + np.zeros((3, 2, 2))
    np.testing.assert_allclose(best_probability(logits), 0.7, rtol=1e-6)
    assert best_probability(np.full((3, 1, 1), 1e4)) == pytest.approx(1 / 3)
    assert best_probability(np.full((3, 1, 1), np.nan)) == 0


@pytest.mark.parametrize(("axis", "angle"), TILTS[::3])
def test_depth_s_own_normals_are_the_room_s(axis, angle):
    down = down_after(axis, angle)
    depth, normals, _ = seen(down, (256, 512))
    found = normals_of_depth(depth)
    around = neighbourhood(np.nan_to_num(depth, posinf=1e9))
    same = (neighbourhood(normals.argmax(-1)) == normals.argmax(-1)).all(0)
    surface = same & (around.max(0) < 1.04 * around.min(0))
    surface[:2] = surface[-2:] = False
    assert np.nanpercentile((found * normals).sum(-1)[surface], 1) > 0.999
    assert agreement(depth, normals)[surface].mean() > 0.99


def test_confidence_is_low_where_the_class_or_the_surface_is_doubtful():
    depth, normals, _ = seen(np.array([0.0, 1, 0]), (256, 512))
    probability = np.full((256, 512), 0.999)
    probability[:, :100] = 0.4
    logits = np.log(np.stack([probability, *3 * [(1 - probability) / 3]])).astype(np.float32)
    normals = normals.copy()
    normals[:, 200:300] = sphere.yaw_matrix(0.8) @ (0, 0, 1)
    normals = np.moveaxis(normals, -1, 0)
    sure = confidence(logits, depth, normals)
    assert np.median(sure[:, 100:200]) > 0.98
    assert np.median(sure[:, :100]) == pytest.approx(0.4, abs=0.01)
    assert np.median(sure[:, 200:300]) < 0.6
    assert np.median(confidence(None, depth, normals)[:, :100]) > 0.98
    depth = depth.copy()
    depth[100:110, 150:160] = np.nan
    assert not confidence(logits, depth, normals)[101:109, 151:159].any()
