"""Heights, obstacles, nvblox's grid and class channels agree with the room, however tilted."""

from __future__ import annotations

import numpy as np
import pytest
from robot_room import (
    CEILING_ID,
    FLOOR_ID,
    HEIGHT,
    PILLAR_ID,
    TABLE_ID,
    TABLE_TOP,
    TILTS,
    cast,
    down_after,
    neighbourhood,
    seen,
)

from mtpano_model.classes import load_class_set
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry import sphere
from mtpano_model.robot.channels import class_channels, class_ids
from mtpano_model.robot.height import ObstacleRules, heights, split
from mtpano_model.robot.range_grid import grid_points, range_grid
from mtpano_model.robot.turning import level_rotation

SIZE = (128, 256)
RULES = ObstacleRules((FLOOR_ID,))


@pytest.mark.parametrize(("axis", "angle"), TILTS)
def test_heights_are_those_of_the_room(axis, angle):
    down = down_after(axis, angle)
    depth, _, ids = seen(down, SIZE)
    level = sphere.rays(*SIZE) @ level_rotation(down).T
    found = heights(depth, down, HEIGHT)
    with np.errstate(invalid="ignore"):
        true = HEIGHT - level[..., 1] * depth
    known = np.isfinite(depth)
    np.testing.assert_allclose(found[known], true[known], atol=1e-3)
    assert np.isnan(found[~known]).all()
    assert np.abs(found[ids == FLOOR_ID]).max() < 1e-3
    assert found[ids == TABLE_ID].max() <= TABLE_TOP + 1e-3


@pytest.mark.parametrize(("axis", "angle"), TILTS)
def test_floor_and_obstacles(axis, angle):
    down = down_after(axis, angle)
    depth, _, ids = seen(down, SIZE)
    floor, obstacles = split(heights(depth, down, HEIGHT), ids, RULES)
    assert not (floor & obstacles).any()
    assert floor[ids == FLOOR_ID].all()
    assert obstacles[ids == TABLE_ID].all()
    assert not obstacles[np.isin(ids, (CEILING_ID, 255))].any()
    pillar = heights(depth, down, HEIGHT)[ids == PILLAR_ID]
    np.testing.assert_array_equal(obstacles[ids == PILLAR_ID], (pillar >= 0.05) & (pillar <= 2))


def test_labels_and_heights_judge_together():
    height = np.array([[0.1, 0.5, 0.02, -0.1, -0.5, 2.5, np.nan, 0.1]], np.float32)
    labels = np.array([[1, 1, 5, 1, 1, 5, 1, 5]], np.uint8)
    floor, obstacles = split(height, labels, RULES)
    assert floor[0].tolist() == [True, False, True, True, False, False, False, False]
    assert obstacles[0].tolist() == [False, True, False, False, False, False, False, True]


@pytest.mark.parametrize("values", [(0.5, 0.1, 0.2), (-1, 2, 0.2), (0, 1, -1), (np.nan, 1, 0.1)])
def test_senseless_rules_are_refused(values):
    with pytest.raises(MtpanoError, match="expected"):
        ObstacleRules((1,), *values)


class NvbloxLidar:
    """nvblox's own reading of a lidar cloud (Lidar::project, checkLidarPointcloud)."""

    def __init__(self, width: int, height: int, fov: float):
        assert width % 2 == 0
        self.width, self.height = width, height
        self.row_step, self.column_step = fov / (height - 1), 2 * np.pi / width
        self.start_polar = np.pi / 2 - (fov / 2 + self.row_step / 2)
        self.start_azimuth = -np.pi - self.column_step / 2

    def project(self, points: np.ndarray) -> np.ndarray:
        """Image-plane coordinates [n, 2] (u, v); a pixel's centre is at half integers."""
        x, y, z = points.astype(np.float32).T
        polar = np.arccos(z / np.sqrt(x * x + y * y + z * z))
        u = (np.arctan2(y, x) - self.start_azimuth) / self.column_step
        v = (polar - self.start_polar) / self.row_step
        return np.stack([np.where(u >= self.width, u - self.width, u), v], 1)


@pytest.mark.parametrize(("axis", "angle"), TILTS[::3])
@pytest.mark.parametrize("size", [SIZE, (100, 202)])
def test_nvblox_takes_every_point_of_the_grid_at_its_own_pixel_s_centre(axis, angle, size):
    depth = seen(down_after(axis, angle), size)[0]
    points = grid_points(range_grid(depth))
    assert points.shape == (*size, 3)
    known = np.isfinite(points).all(-1)
    lidar = NvbloxLidar(size[1], size[0], np.pi * (size[0] - 1) / size[0])
    rows, columns = np.nonzero(known)
    places = lidar.project(points[known])
    assert (places[:, 1] >= 0).all()
    assert (places[:, 1] < size[0]).all()
    np.testing.assert_allclose(places, np.stack([columns, rows], 1) + 0.5, atol=0.02)


@pytest.mark.parametrize(("axis", "angle"), TILTS[::3])
def test_the_grid_s_ranges_are_the_room_s_midway_between_columns(axis, angle):
    down = down_after(axis, angle)
    depth = seen(down, SIZE)[0]
    ranges = range_grid(depth)
    directions = grid_points(np.ones(SIZE, np.float32)) @ sphere.frame_matrix("body", "optical").T
    true = cast(directions @ level_rotation(down).T)[0]
    around = neighbourhood(np.nan_to_num(true, posinf=1e9))
    low, high = around.min(0), around.max(0)
    surface = np.isfinite(true) & (high < 1.05 * low)
    assert (np.abs(ranges - true) <= np.maximum(0.01, (high - low) / 2))[surface].all()
    # At a step the nearer side holds, and nothing lies between.
    one, other = np.roll(depth[:, ::-1], 1, 1), depth[:, ::-1]
    step = np.fmax(one, other) > 1.1 * np.fmin(one, other)
    np.testing.assert_array_equal(ranges[step], np.fmin(one, other)[step])


def test_an_odd_grid_is_refused():
    with pytest.raises(MtpanoError, match="even"):
        range_grid(np.ones((4, 7), np.float32))


def test_class_channels():
    classes = load_class_set("indoor18")
    labels = np.array([[1, 5, 255]], np.uint8)
    channels = class_channels(labels, class_ids(["floor", "chair"], classes))
    np.testing.assert_array_equal(channels, [[[1, 0], [0, 1], [0, 0]]])
    assert channels.dtype == np.float32
    with pytest.raises(MtpanoError, match="no class 'flor'"):
        class_ids(["flor"], classes)
