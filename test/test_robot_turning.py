"""A tilted panorama is turned upright, and what the network says about it comes back."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest
from robot_room import TILTS, cast, down_after, neighbourhood, seen

from mtpano_model.geometry import sphere
from mtpano_model.robot.turning import Turning, level_rotation

SIZE = (128, 256)
# Without the rows within 20 degrees of a pole: a pixel of the level answer covers many there.
INNER = slice(14, -14)


@pytest.fixture(autouse=True)
def both_ways(compiled, monkeypatch):
    monkeypatch.setitem(globals(), "Turning", partial(Turning, compiled))


@cache
def answer(size):
    """The engine's answer for the level picture: planes [4, h, w] and labels."""
    distance, normal, ids = cast(sphere.rays(*size))
    distance[np.isinf(distance)] = np.nan
    return np.concatenate([distance[None], np.moveaxis(normal, -1, 0)]).astype(np.float32), ids


def turned(axis, angle, limit=SIZE):
    turning = Turning()
    turning.set_down(down_after(axis, angle))
    planes, labels = turning.camera_answer(*answer(SIZE), limit)
    return planes, labels, seen(down_after(axis, angle), labels.shape)


@pytest.mark.parametrize(("axis", "angle"), TILTS)
def test_the_rotation_makes_down_point_down_and_is_the_smallest(axis, angle):
    rotation = level_rotation(down_after(axis, angle))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(rotation @ down_after(axis, angle), (0, 1, 0), atol=1e-12)
    assert np.degrees(np.arccos((np.trace(rotation) - 1) / 2)) == pytest.approx(angle, abs=1e-5)


def test_a_camera_upside_down_can_be_turned_too():
    np.testing.assert_allclose(level_rotation(np.array([0, -1, 0])) @ (0, -1, 0), (0, 1, 0))


@pytest.mark.parametrize(("axis", "angle"), TILTS)
@pytest.mark.parametrize("limit", [SIZE, (512, 1024)])
def test_depth_comes_back_to_a_centimetre_or_half_a_pixel(axis, angle, limit):
    planes, _, (depth, _, _) = turned(axis, angle, limit)
    around = neighbourhood(np.nan_to_num(depth, posinf=1e9), planes.shape[1] // SIZE[0])
    low, high = around.min(0), around.max(0)
    off = np.abs(planes[0] - depth)
    surface = np.isfinite(planes[0]) & (high < 1.15 * low)
    assert surface.mean() > 0.8
    inner = slice(len(depth) // 9, -len(depth) // 9)
    right = (off <= np.maximum(0.01, (high - low) / 2))[inner][surface[inner]]
    assert right.mean() > (1 if angle < 60 else 0.999) - 1e-9
    assert np.percentile(off[surface], 95) < 0.01


@pytest.mark.parametrize(("axis", "angle"), TILTS)
def test_no_depth_lies_between_foreground_and_background(axis, angle):
    planes, _, (depth, _, _) = turned(axis, angle)
    off = np.abs(neighbourhood(np.nan_to_num(depth, posinf=1e9)) / planes[0] - 1).min(0)
    suspects = np.argwhere(np.isfinite(planes[0]) & (off > 0.05))
    suspects = suspects[np.abs(suspects[:, 0] - SIZE[0] / 2) < SIZE[0] / 2 - 14]
    assert len(suspects) < 200  # of 32,768, where a far ceiling is seen at a slant
    # Somewhere within a pixel and a half the room has a surface at that distance.
    level = level_rotation(down_after(axis, angle))
    for row, column in suspects:
        rows, columns = np.meshgrid(
            *np.linspace((row - 1, column - 1), (row + 2, column + 2), 31).T
        )
        lat, lon = (0.5 - rows / SIZE[0]) * np.pi, (columns / SIZE[1] - 0.5) * 2 * np.pi
        rays = np.stack([np.cos(lat) * np.sin(lon), -np.sin(lat), np.cos(lat) * np.cos(lon)], -1)
        near = np.abs(cast(rays @ level.T)[0] / planes[0][row, column] - 1).min()
        assert near < 0.05


@pytest.mark.parametrize(("axis", "angle"), TILTS)
def test_labels_are_those_of_a_neighbour_and_normals_of_the_camera_s_frame(axis, angle):
    planes, labels, (_, normals, ids) = turned(axis, angle)
    assert (neighbourhood(ids, 2) == labels).any(0)[INNER].all()
    assert (ids == labels).mean() > 0.98
    inside = (neighbourhood(normals.argmax(-1)) == normals.argmax(-1)).all(0)
    inside &= (neighbourhood(ids) == ids).all(0) & (ids != 255)
    unit = np.moveaxis(planes[1:], 0, -1)
    unit = unit / np.linalg.norm(unit, axis=-1, keepdims=True)
    cosine = (unit * normals).sum(-1)[inside]
    assert np.percentile(cosine, 2) > np.cos(np.radians(1))


@pytest.mark.parametrize(("axis", "angle"), TILTS)
def test_the_picture_becomes_that_of_a_level_camera(axis, angle):
    def paint(rays):
        return (127.5 + 127.5 * np.sin(3 * rays)).astype(np.uint8)

    level = level_rotation(down_after(axis, angle))
    turning = Turning()
    turning.set_down(down_after(axis, angle))
    picture = paint(sphere.rays(*SIZE) @ level.T)
    off = turning.level_picture(picture).astype(int) - paint(sphere.rays(*SIZE))
    assert np.abs(off).max() <= 3


def test_a_level_camera_costs_nothing_and_changes_nothing():
    turning = Turning()
    turning.set_down(np.array([0.0, 2.0, 0.0]))
    picture, (planes, labels) = np.zeros((*SIZE, 3), np.uint8), answer(SIZE)
    assert turning.rotation is None
    assert turning.level_picture(picture) is picture
    assert turning.camera_answer(planes, labels, SIZE)[0] is planes


def test_an_attitude_may_change_with_every_image():
    turning = Turning()
    for angle in (10, 12, 0, 12):
        turning.set_down(down_after((1, 0, 0), angle))
        planes, _ = turning.camera_answer(*answer(SIZE), SIZE)
        depth = seen(down_after((1, 0, 0), angle), SIZE)[0]
        with np.errstate(invalid="ignore"):
            assert np.nanmedian(np.abs(planes[0] - depth)) < 0.003
