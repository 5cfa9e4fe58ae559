"""From the engine's answer for the level picture to everything a robot is sent, tilted or not."""

from __future__ import annotations

import numpy as np
import pytest
from robot_room import BOXES, FLOOR_ID, HEIGHT, TABLE_ID, TILTS, cast, down_after

from mtpano_model.classes import load_class_set
from mtpano_model.clouds.cloud import cloud_from_frame
from mtpano_model.geometry import sphere
from mtpano_model.inference import Frame
from mtpano_model.inference.answer import Answer
from mtpano_model.robot.correction import Correction
from mtpano_model.robot.edge_filter import EdgeFilter
from mtpano_model.robot.height import ObstacleRules, heights, split
from mtpano_model.robot.scale import MetricScale
from mtpano_model.robot.scan import Scanner, ScanRules
from mtpano_model.robot.turning import level_rotation
from mtpano_model.robot.views import ViewSampler, four_views

SIZE = (256, 512)


def frame_of(down, scale=1.0) -> Frame:
    """What the camera would be told: the room, predicted `scale` times as large, then corrected."""
    reach, normals, labels = cast(sphere.rays(*SIZE))
    reach[np.isinf(reach)] = np.nan
    planes = np.concatenate([reach[None] * scale, np.moveaxis(normals, -1, 0)]).astype(np.float32)
    correct = Correction(load_class_set("indoor18"), MetricScale(HEIGHT), SIZE)
    corrected = correct(Answer(planes, labels), SIZE, down, 0.0)
    planes, labels = corrected.answer.planes, corrected.answer.labels
    assert corrected.floor.height == pytest.approx(HEIGHT * scale, rel=0.01)
    assert corrected.scale.factor == pytest.approx(1 / scale, rel=0.01)
    frame = Frame(planes[0].copy(), np.moveaxis(planes[1:], 0, -1).copy(), labels.copy())
    frame.depth[EdgeFilter(15).hanging(frame.depth, frame.normals)] = np.nan
    return frame


def distance_to_room(points: np.ndarray) -> np.ndarray:
    """Metres from points [n, 3] (level axes) to the surface of the nearest box."""
    low, high = BOXES[:, None, 0:6:2], BOXES[:, None, 1:6:2]
    outside = np.linalg.norm(np.maximum(0, np.maximum(low - points, points - high)), axis=-1)
    inside = np.minimum(points - low, high - points).min(-1)
    return np.where(inside > 0, inside, outside).min(0)


@pytest.mark.parametrize(
    ("axis", "angle", "scale"), [*((*tilt, 1.0) for tilt in TILTS), (*TILTS[5], 1 / 3)]
)
def test_everything_agrees_with_the_room(axis, angle, scale):
    down = down_after(axis, angle)
    frame, level = frame_of(down, scale), level_rotation(down)
    pixel = np.pi / SIZE[0]

    cloud = cloud_from_frame(frame, np.zeros((*SIZE, 3), np.uint8))
    points = cloud.points @ level.T
    known = np.isfinite(points[:, 0])
    off = distance_to_room(points[known])
    half_a_pixel = np.linalg.norm(points[known], axis=1) * pixel / 2
    assert (off <= np.maximum(0.01, half_a_pixel * 1.5)).mean() > 0.999
    assert np.median(off) < 0.002

    height = heights(frame.depth, down, HEIGHT)
    np.testing.assert_allclose(height.reshape(-1)[known], HEIGHT - points[known][:, 1], atol=1e-3)
    floor, obstacles = split(height, frame.labels, ObstacleRules((FLOOR_ID,)))
    assert not (floor & (frame.labels == TABLE_ID)).any()
    found = (frame.labels == FLOOR_ID) & np.isfinite(height)
    assert floor[found].mean() > 0.999
    assert obstacles[(frame.labels == TABLE_ID) & np.isfinite(height)].all()

    body = sphere.frame_matrix("optical", "body") @ level
    scan = Scanner(ScanRules(0.1, 1.8, max_range=8))(frame.depth, body, HEIGHT, floor)
    azimuth = scan.angle_min + np.arange(len(scan.ranges)) * scan.angle_increment
    hit = np.isfinite(scan.ranges)
    flat = np.stack([-np.sin(azimuth) * scan.ranges, np.cos(azimuth) * scan.ranges], 1)[hit]
    heights_of_band = np.linspace(0.11, 1.79, 24)
    columns = [np.insert(flat, 1, HEIGHT - h, axis=1) for h in heights_of_band]
    off = np.min([distance_to_room(column) for column in columns], axis=0)
    assert (off <= np.maximum(0.01, scan.ranges[hit] * pixel)).all()

    for view in four_views(size=(100, 100)):
        sampler = ViewSampler(view)
        z = sampler.depth(frame.depth)
        rows, columns = np.nonzero(np.isfinite(z))
        rays = (
            np.stack([columns, rows, np.ones_like(rows)], 1) @ np.linalg.inv(view.camera_matrix).T
        )
        seen = (rays * z[rows, columns, None]) @ (level @ view.rotation).T
        off = distance_to_room(seen)
        assert (off <= np.maximum(0.01, z[rows, columns] * 1.8 * pixel)).mean() > 0.998


@pytest.mark.parametrize(("grid", "finest"), [(64, 128), (128, 256), (256, 256), (512, 512)])
def test_a_turned_answer_is_made_finer_up_to_the_picture_that_the_network_saw(grid, finest):
    planes, labels = np.ones((4, grid, 2 * grid), np.float32), np.zeros((grid, 2 * grid), np.uint8)
    correct = Correction(load_class_set("indoor18"), MetricScale(), (256, 512))
    down = down_after((1, 0, 0), 10)
    answer = correct(Answer(planes, labels), (512, 1024), down, 0.0).answer
    assert answer.planes.shape == (4, finest, 2 * finest)
    assert answer.labels.shape == (finest, 2 * finest)
