"""The small transform buffer, against scipy's rotations."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from mtpano_model.robot.transforms import (
    NotYet,
    TransformBuffer,
    TransformError,
    make_transform,
)


def random_transform(rng):
    return make_transform(Rotation.random(random_state=rng).as_quat(), rng.normal(size=3))


def matrix(transform):
    out = np.eye(4)
    out[:3, :3] = Rotation.from_quat(transform.rotation).as_matrix()
    out[:3, 3] = transform.translation
    return out


@pytest.mark.parametrize("seed", range(10))
def test_between_two_stamps_it_is_scipy_s_slerp_and_a_straight_line(seed):
    rng = np.random.RandomState(seed)
    first, last = random_transform(rng), random_transform(rng)
    buffer = TransformBuffer()
    buffer.add("odom", "base", first, 10.0)
    buffer.add("odom", "base", last, 12.0)
    slerp = Slerp([10, 12], Rotation.from_quat([first.rotation, last.rotation]))
    for stamp in (10.0, 10.3, 11.0, 11.999, 12.0):
        found = buffer.look_up("odom", "base", stamp)[0]
        between = Rotation.from_quat(found.rotation) * slerp(stamp).inv()
        assert between.magnitude() < 1e-6
        part = (stamp - 10) / 2
        line = (1 - part) * first.translation + part * last.translation
        np.testing.assert_allclose(found.translation, line)


@pytest.mark.parametrize("seed", range(5))
def test_a_chain_up_and_down_the_tree_is_a_product_of_matrices(seed):
    rng = np.random.RandomState(seed)
    base, left, right, camera = (random_transform(rng) for _ in range(4))
    buffer = TransformBuffer()
    buffer.add("odom", "base", base, 1.0)
    buffer.add("base", "left", left, 0.0, static=True)
    buffer.add("/base", "/right", right, 0.0, static=True)
    buffer.add("left", "camera", camera, 0.0, static=True)
    found = matrix(buffer.look_up("right", "camera", 5.0)[0])  # static alone: at any time
    np.testing.assert_allclose(found, np.linalg.inv(matrix(right)) @ matrix(left) @ matrix(camera))
    found = matrix(buffer.look_up("odom", "camera", 1.0)[0])
    np.testing.assert_allclose(found, matrix(base) @ matrix(left) @ matrix(camera))
    back = matrix(buffer.look_up("camera", "odom", 1.0)[0])
    np.testing.assert_allclose(back @ found, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(matrix(buffer.look_up("base", "base", 9.0)[0]), np.eye(4))


def some(seed=0):
    return random_transform(np.random.RandomState(seed))


def test_what_may_still_come_is_told_apart_from_what_cannot():
    buffer = TransformBuffer(seconds=5)
    with pytest.raises(NotYet, match="'camera' is not in TF"):
        buffer.look_up("base", "camera", 1.0)
    buffer.add("base", "camera", some(), 10.0)
    with pytest.raises(NotYet, match="'odom' is not in TF"):
        buffer.look_up("odom", "camera", 10.0)
    buffer.add("map", "odom", some(), 10.0)
    with pytest.raises(NotYet, match="nothing joins them"):
        buffer.look_up("map", "camera", 10.0)
    with pytest.raises(NotYet, match=r"0\.500 s older than the image"):
        buffer.look_up("base", "camera", 10.5)
    with pytest.raises(TransformError, match="older than the oldest") as told:
        buffer.look_up("base", "camera", 9.0)
    assert not isinstance(told.value, NotYet)


@pytest.mark.parametrize("chain", [["a", "a"], ["a", "b", "a"], ["a", "b", "c", "a"]])
def test_a_loop_is_refused(chain):
    buffer = TransformBuffer()
    *good, bad = list(pairwise(chain))
    for child, parent in good:
        buffer.add(parent, child, some(), 0.0)
    with pytest.raises(TransformError, match="closes a loop"):
        buffer.add(bad[1], bad[0], some(), 0.0)


def test_old_ones_are_forgotten_and_a_clock_set_back_begins_anew():
    buffer = TransformBuffer(seconds=5)
    for stamp in range(100):
        buffer.add("odom", "base", some(stamp), float(stamp))
    with pytest.raises(TransformError):
        buffer.look_up("odom", "base", 90.0)
    buffer.look_up("odom", "base", 94.5)
    buffer.add("odom", "base", some(), 3.0)
    buffer.look_up("odom", "base", 3.0)
    with pytest.raises(NotYet):
        buffer.look_up("odom", "base", 94.5)


def test_late_ones_are_put_in_their_place():
    buffer = TransformBuffer()
    for stamp in (1.0, 3.0, 2.0):
        buffer.add("odom", "base", some(int(stamp)), stamp)
    np.testing.assert_array_equal(buffer.look_up("odom", "base", 2.0)[0].rotation, some(2).rotation)


@pytest.mark.parametrize(
    "values", [((0, 0, 0, 0), (0, 0, 0)), ((0, 0, 0, 2), (0, 0, 0)), ((np.nan, 0, 0, 1), (0,) * 3),
               ((0, 0, 0, 1), (0, np.inf, 0))],
)  # fmt: skip
def test_what_is_no_transform_is_refused(values):
    with pytest.raises(TransformError, match="expected"):
        make_transform(*values)
    with pytest.raises(TransformError, match="expected a number"):
        TransformBuffer().add("a", "b", some(), np.nan)


def test_opposite_quaternions_are_the_same_rotation():
    transform = some()
    buffer = TransformBuffer()
    buffer.add("a", "b", transform, 0.0)
    buffer.add("a", "b", make_transform(-transform.rotation, transform.translation), 1.0)
    found, _ = buffer.look_up("a", "b", 0.5)
    np.testing.assert_allclose(found.matrix, transform.matrix, atol=1e-12)
