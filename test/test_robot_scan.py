"""The laser scan agrees with a room known in closed form, however the camera is tilted."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest
from robot_room import FLOOR_ID, HEIGHT, TILTS, cast, down_after, seen

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import OPTICAL_FROM
from mtpano_model.robot.scan import Scanner, ScanRules
from mtpano_model.robot.turning import level_rotation

SIZE = (256, 512)
BODY = OPTICAL_FROM["body"].T
RULES = ScanRules(min_height=0.1, max_height=1.8, max_range=8.0)


@pytest.fixture(autouse=True)
def both_ways(compiled, monkeypatch):
    monkeypatch.setitem(globals(), "Scanner", partial(Scanner, compiled=compiled))


@cache
def nearest_surfaces(count: int, low: float, high: float) -> np.ndarray:
    """Horizontal range by azimuth, counter-clockwise, from 1500 rays each, within 8 m."""
    azimuth = -np.pi + (np.arange(count) + 0.5) * 2 * np.pi / count
    elevation = np.linspace(-1.4, 1.4, 1500)[:, None]
    rays = np.stack(
        np.broadcast_arrays(
            -np.cos(elevation) * np.sin(azimuth),
            -np.sin(elevation),
            np.cos(elevation) * np.cos(azimuth),
        ),
        -1,
    )
    reach, _, ids = cast(rays)
    height = HEIGHT + reach * np.sin(elevation)
    horizontal = reach * np.cos(elevation)
    hit = (height >= low) & (height <= high) & (horizontal <= 8.0) & (ids != FLOOR_ID)
    return np.where(hit, horizontal, np.inf).min(0)


def scan(axis, angle, rules=RULES, count=None, size=SIZE, depth=None):
    down = down_after(axis, angle)
    depth = seen(down, size)[0] if depth is None else depth
    return Scanner(rules, count)(depth, BODY @ level_rotation(down), HEIGHT)


@pytest.mark.parametrize(
    ("axis", "angle", "count"),
    [(*tilt, None) for tilt in TILTS] + [(*TILTS[5], 720), (*TILTS[8], 333), (*TILTS[-1], 720)],
)
def test_every_range_is_the_nearest_surface_to_a_centimetre_or_half_a_step(axis, angle, count):
    found = scan(axis, angle, count=count).ranges
    true = nearest_surfaces(len(found), 0.1, 1.8)
    beside = np.stack([np.roll(true, k) for k in (-2, -1, 0, 1, 2)])
    assert not np.isnan(found).any()
    half_a_pixel = np.minimum(true, 8) * np.pi / SIZE[0] / 2 * 1.5  # along either diagonal
    tolerance = np.maximum(0.01, half_a_pixel)
    assert (found >= beside.min(0) - tolerance).all()
    assert (found <= beside.max(0) + tolerance).all()
    both = np.isfinite(found) & np.isfinite(true)
    assert np.median(np.abs(found - true)[both]) < 0.01


@pytest.mark.parametrize(("axis", "angle"), TILTS)
def test_a_ray_through_a_door_sees_what_is_behind_it_and_never_the_frame(axis, angle):
    found = scan(axis, angle)
    azimuth = found.angle_min + np.arange(len(found.ranges)) * found.angle_increment
    x, z = -np.sin(azimuth), np.cos(azimuth)  # optical
    with np.errstate(divide="ignore", invalid="ignore"):
        corridor = (z > 0) & (np.abs(x / z * 3.2 - 0.05) < 0.4)
        nothing = (x > 0) & (np.abs(z / x * 3.2 + 0.5) < 0.42) & (np.abs(z / x * 3 + 0.5) < 0.42)
    behind = 4.5 / z[corridor]
    np.testing.assert_allclose(found.ranges[corridor], behind, atol=0.02)
    assert corridor.sum() > 8
    assert nothing.sum() > 8
    assert np.isposinf(found.ranges[nothing]).all()


@pytest.mark.parametrize("angle", [0, 15])
def test_a_table_is_in_the_way_of_its_own_height_alone(angle):
    under = scan((1, 0, 0), angle, ScanRules(0.1, 0.6, max_range=8.0))
    at = scan((1, 0, 0), angle, ScanRules(0.6, 0.8, max_range=8.0))
    ahead_right = -np.arctan2(1.5, 1.2)  # towards the middle of the table
    index = round((ahead_right - at.angle_min) / at.angle_increment)
    # A band from 0.6 m up meets its front edge; a lower one the wall, seen below the top.
    assert at.ranges[index] == pytest.approx(np.hypot(1.5, 1.2) * (1 / 1.5), abs=0.02)
    assert under.ranges[index] > 2.5


@pytest.mark.parametrize("count", [None, 720, 721, 1000])
def test_the_angles_are_what_slam_toolbox_counts(count):
    """It takes round((max - min) / increment) + 1 ranges, and a full circle has no end twice."""
    made = scan((1, 0, 0), 0, count=count)
    low, high, step = (
        np.float32(a) for a in (made.angle_min, made.angle_max, made.angle_increment)
    )
    assert round(float((high - low) / step)) + 1 == len(made.ranges) == (count or SIZE[1])
    assert high - low < 2 * np.pi - 0.5 * step
    assert made.angle_min == pytest.approx(-made.angle_max)


def test_the_number_of_ranges_does_not_depend_on_what_is_seen():
    scanner = Scanner(RULES, 720)
    for depth in (np.full(SIZE, np.nan), np.full(SIZE, np.inf), seen(np.array([0, 1, 0]), SIZE)[0]):
        assert len(scanner(depth.astype(np.float32), None, HEIGHT).ranges) == 720


def test_counter_clockwise_from_behind():
    depth = np.full(SIZE, 5, np.float32)
    depth[:, SIZE[1] // 8 : SIZE[1] // 8 + 20] = 2  # behind, to the left
    made = Scanner(ScanRules())(depth, None, HEIGHT)
    assert np.degrees(made.angle_min + made.ranges.argmin() * made.angle_increment) > 100


def test_unknown_and_masked_are_nan_open_is_infinite_and_a_surface_wins():
    depth = np.full(SIZE, np.inf, np.float32)
    depth[:, 100:200] = np.nan
    depth[:, 300:320] = -np.inf
    depth[:, 150] = 3
    depth[SIZE[0] // 2, 330] = np.nan  # one of the rays that would have met the band
    depth[120:, 400:420] = 3  # the horizon is open, the wall begins below it
    ranges = Scanner(ScanRules())(depth, None, HEIGHT).ranges[::-1]
    assert np.isnan(np.delete(ranges[100:200], 50)).all()
    assert np.isnan(ranges[300:320]).all()
    assert 2.7 < ranges[150] <= 3
    assert np.isnan(ranges[330])
    assert np.isposinf(ranges[[329, 331]]).all()
    assert (ranges[400:420] < 3.01).all()
    assert np.isposinf(ranges[:100]).all()
    assert np.isposinf(ranges[450:]).all()


def test_what_is_known_to_be_floor_is_in_nobody_s_way():
    depth, _, ids = seen(np.array([0.0, 1, 0]), SIZE)
    bowed = np.where(ids == FLOOR_ID, depth * 0.8, depth)  # a floor predicted 20 % too near
    scanner = Scanner(RULES)
    true = nearest_surfaces(SIZE[1], 0.1, 1.8)
    with_labels = scanner(bowed, None, HEIGHT, ids == FLOOR_ID).ranges
    assert (np.abs(with_labels - true)[np.isfinite(true)] < 0.03).mean() > 0.97
    assert (scanner(bowed, None, HEIGHT).ranges < with_labels - 0.1).mean() > 0.5


def test_without_a_height_the_band_is_over_the_camera():
    depth = seen(np.array([0.0, 1, 0]), SIZE)[0]
    relative = Scanner(ScanRules(0.1 - HEIGHT, 1.8 - HEIGHT, max_range=8.0))(depth)
    np.testing.assert_array_equal(relative.ranges, scan((1, 0, 0), 0).ranges)


@pytest.mark.parametrize(
    "values", [(1, 1, 0.2, 10), (2, 1, 0.2, 10), (0, 1, 0, 10), (0, 1, 5, 4), (0, 1, 1, np.inf),
               (np.nan, 1, 0.2, 10), (0, 1, np.nan, 10)],
)  # fmt: skip
def test_senseless_rules_are_refused_in_one_sentence(values):
    with pytest.raises(MtpanoError, match="expected"):
        ScanRules(*values)


def test_too_few_ranges_are_refused():
    with pytest.raises(MtpanoError, match="too coarse"):
        Scanner(ScanRules(), 3)
