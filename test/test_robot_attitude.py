"""Down from an IMU, from floors and ceilings; and what holds when nothing comes."""

from __future__ import annotations

import numpy as np
import pytest
from robot_room import CEILING_ID, FLOOR_ID, TILTS, down_after, seen
from scipy.spatial.transform import Rotation

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import OPTICAL_FROM
from mtpano_model.robot.attitude import (
    LEVEL,
    AttitudeKeeper,
    ImuAttitude,
    SelfAttitude,
    down_of_rotation,
    down_of_surfaces,
)

BODY = OPTICAL_FROM["body"]  # an IMU with x ahead, z up
NONE = [np.nan] * 4


def imu(seconds=0.5, **keeping):
    keeper = AttitudeKeeper("imu/data", **keeping)
    return keeper, ImuAttitude(keeper, BODY, seconds)


@pytest.mark.parametrize("degrees", [(0, 0), (10, 0), (0, -30), (25, 40), (-60, 10)])
def test_orientation_and_gravity_say_the_same(degrees):
    roll, pitch = degrees
    world_from_imu = Rotation.from_euler("zyx", [77, pitch, roll], degrees=True)
    down = BODY @ world_from_imu.inv().apply((0, 0, -1))
    keeper, source = imu()
    source.add(1.0, world_from_imu.as_quat(), NONE[:3])
    np.testing.assert_allclose(keeper.at(1.0).down, down, atol=1e-9)
    keeper, source = imu()
    source.add(1.0, [0, 0, 0, 1], world_from_imu.inv().apply((0, 0, 9.81)), -1)
    np.testing.assert_allclose(keeper.at(1.0).down, down, atol=1e-9)
    assert keeper.at(1.0).state == "measured"
    np.testing.assert_allclose(
        down_of_rotation(BODY @ world_from_imu.inv().as_matrix()), down, atol=1e-9
    )


def test_gravity_is_filtered_in_time():
    keeper, source = imu(seconds=1.0)
    source.add(0.0, NONE, (0, 0, 9.81), -1)
    source.add(0.1, NONE, (0, 3.0, 9.5), -1)
    tilt = np.degrees(np.arccos(keeper.at(0.1).down[1]))
    assert 0.5 < tilt < 3
    for k in range(60):
        source.add(0.2 + k / 10, NONE, (0, 3.0, 9.5), -1)
    assert np.degrees(np.arccos(keeper.at(6.1).down[1])) == pytest.approx(17.5, abs=0.3)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ((NONE, (0, 0, -9.81), -1), "upside down"),
        (([1, 0, 0, 0], (0, 0, 9.81), 0), "upside down"),
        (([np.nan] * 4, (np.nan, 0, 0), 0), "quaternion of length 1"),
        (([0, 0, 0, 0.2], (0, 0, np.inf), 0), "quaternion of length 1"),
        ((NONE, (0, np.nan, 9.81), -1), "acceleration"),
        ((NONE, (0, 0, 1.0), -1), "1.00 m/s2"),
        ((NONE, (0, 0, 0), -1), "0.00 m/s2"),
        ((NONE, (0, 0, 9.81), -1, -1), "neither orientation nor acceleration"),
    ],
)
def test_an_imu_that_is_wrong_is_told_in_one_sentence_and_not_used(message, told):
    keeper, source = imu()
    source.add(1.0, *message)
    attitude = keeper.at(1.0)
    assert attitude.state == "level"
    assert told in attitude.reason
    np.testing.assert_array_equal(attitude.down, LEVEL)


def test_a_wrong_orientation_leaves_gravity_to_measure_by():
    keeper, source = imu()
    source.add(1.0, [np.nan] * 4, (0, 0, 9.81))
    assert keeper.at(1.0).state == "measured"


def test_the_last_attitude_is_held_and_then_given_up():
    keeper = AttitudeKeeper("tf", max_age=0.5, hold=10)
    assert keeper.at(3.0).state == "level"
    assert "no attitude yet" in keeper.at(3.0).reason
    tilted = down_after((1, 0, 0), 10)
    keeper.set(tilted, 5.0)
    assert keeper.at(5.4).state == keeper.at(4.6).state == "measured"
    assert keeper.at(8.0).state == "held"
    assert "3.0 s away" in keeper.at(8.0).reason
    np.testing.assert_allclose(keeper.at(8.0).down, tilted)
    assert keeper.at(16.0).state == "level"
    keeper.set(LEVEL, 4.9)  # older than what is known
    np.testing.assert_allclose(keeper.at(5.0).down, tilted)
    keeper.set(LEVEL, -100.0)  # a bag that begins again
    np.testing.assert_allclose(keeper.at(-100.0).down, LEVEL)


@pytest.mark.parametrize("ages", [(0, 1), (2, 1), (np.nan, 1)])
def test_senseless_ages_are_refused(ages):
    with pytest.raises(MtpanoError, match="expected"):
        AttitudeKeeper("imu", *ages)


@pytest.mark.parametrize(("axis", "angle"), TILTS)
def test_floor_and_ceiling_say_which_way_is_down(axis, angle):
    down = down_after(axis, angle)
    _, normals, ids = seen(down, (128, 256))
    rng = np.random.default_rng(0)
    noisy = normals + rng.normal(0, 0.2, normals.shape).astype(np.float32)
    noisy /= np.linalg.norm(noisy, axis=-1, keepdims=True)
    wrong = rng.random(ids.shape) < 0.1
    ids = np.where(wrong, np.uint8(FLOOR_ID), ids)
    keeper = AttitudeKeeper("self")
    SelfAttitude(keeper, (FLOOR_ID,), (CEILING_ID,)).add(noisy, ids, 1.0)
    off = np.degrees(np.arccos(np.clip(keeper.at(1.0).down @ down, -1, 1)))
    assert off < 1.5


def test_too_little_floor_is_told():
    keeper = AttitudeKeeper("self")
    source = SelfAttitude(keeper, (FLOOR_ID,), (CEILING_ID,))
    source.add(np.zeros((64, 128, 3), np.float32), np.zeros((64, 128), np.uint8), 1.0)
    assert "too little floor" in keeper.at(1.0).reason
    nothing = np.full((8, 16, 3), np.nan, np.float32)
    assert down_of_surfaces(nothing, np.ones((8, 16), np.uint8), (1,), (2,)) is None
    with pytest.raises(MtpanoError, match="neither floor nor ceiling"):
        SelfAttitude(keeper, (), ())
