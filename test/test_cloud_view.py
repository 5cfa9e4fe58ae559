"""Views of the cloud: pinhole pictures of it, and the dollhouse from above."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from test_cloud import HIGH, LOW, box_room, colored

from mtpano_model.classes import load_class_set
from mtpano_model.clouds.cloud import cloud_from_frame
from mtpano_model.drawing.cloud_view import BACKGROUND, Viewpoint, dollhouse, render
from mtpano_model.geometry.sphere import yaw_matrix
from mtpano_model.inference import Frame

CLASSES = load_class_set("indoor18")


def test_a_view_from_the_middle_is_the_pinhole_picture_of_the_room():
    """From the panorama's own place a wall's edge must fall where perspective puts it."""
    frame = box_room(128)
    cloud = cloud_from_frame(frame, CLASSES.palette_array[frame.labels])
    view = Viewpoint((0, 0, 0), 0.0, 0.0, 0.5)
    picture = render(cloud, view, (100, 200))
    wall, floor = CLASSES.palette[5], CLASSES.palette[3]  # ahead: 2 * 2 + 1; floor: 2 * 1 + 1
    column = [tuple(color) for color in picture[:, 100]]
    assert column[50] == wall
    edge = 50 + 0.5 * 200 * HIGH[1] / HIGH[2]  # the wall meets the floor
    assert column[round(edge) - 3] == wall
    assert column[round(edge) + 3] == floor
    right = 100 + 0.5 * 200 * HIGH[0] / HIGH[2]
    row = [tuple(color) for color in picture[50]]
    assert row[round(right) - 3] == wall
    assert row[round(right) + 3] == CLASSES.palette[1]


def test_from_above_one_looks_through_the_ceiling_on_the_floor():
    frame = box_room(256)
    cloud = cloud_from_frame(frame, CLASSES.palette_array[frame.labels])
    above = Viewpoint((0.75, -20.0, 0.5), 0.0, -np.pi / 2 + 1e-4, 2.0)
    picture = render(cloud, above, (200, 200))
    seen = {tuple(color) for color in picture.reshape(-1, 3)}
    ceiling, floor = CLASSES.palette[2], CLASSES.palette[3]
    assert ceiling not in seen
    share = (picture == floor).all(axis=2).mean()
    area = (HIGH[0] - LOW[0]) * (HIGH[2] - LOW[2])
    per_pixel = (20 + HIGH[1]) / (2.0 * 200)
    assert share * 200 * 200 * per_pixel**2 == pytest.approx(area, rel=0.06)


def test_the_far_floor_of_a_hall_is_drawn():
    """Seen under three degrees, its neighbouring points lie as far apart as those of a step.

    All but the last row before the walls, where two rows are two metres apart: a fifth was drawn
    by distances alone.
    """
    frame = box_room(512, np.array([-20.0, -4.0, -20.0]), np.array([20.0, 1.0, 20.0]))
    cloud = cloud_from_frame(frame, CLASSES.palette_array[frame.labels])
    above = Viewpoint((0, -60.0, 0), 0.0, -np.pi / 2 + 1e-4, 1.0)
    floor = (render(cloud, above, (200, 200)) == CLASSES.palette[3]).all(axis=2).mean()
    assert 0.85 * 40**2 < floor * 61**2 < 40**2  # a picture of 61 m at the floor


def test_a_step_in_depth_is_not_drawn_over():
    frame = box_room(128)
    frame.depth[40:70, 110:146] *= 0.5  # a screen before the wall ahead, with its normals
    cloud = cloud_from_frame(frame, colored(128, 256))
    side = Viewpoint((-1.0, 0.0, 0.0), 0.3, 0.0, 0.7)
    picture = render(cloud, side, (100, 200))
    cloud.normals[:] = np.nan  # by distances alone
    assert (picture == render(cloud, side, (100, 200))).all()
    assert (picture == BACKGROUND).all(axis=2).sum() > 100


@pytest.mark.parametrize("yaw", [0.5, 2.0, 3.6])
def test_the_dollhouse_has_the_room_in_view_and_closed(yaw):
    frame = box_room(128)
    cloud = cloud_from_frame(frame, colored(128, 256))
    size = (200, 400)
    view = dollhouse(cloud, size, yaw)
    corners = np.array([[x, y, z] for x in (LOW[0], HIGH[0]) for y in (LOW[1], HIGH[1])
                        for z in (LOW[2], HIGH[2])])  # fmt: skip
    local = (corners - view.position) @ view.rotation
    columns = local[:, 0] / local[:, 2] * view.focal * 400 + 200
    rows = local[:, 1] / local[:, 2] * view.focal * 400 + 100
    assert local[:, 2].min() > 0
    assert columns.min() > -10
    assert columns.max() < 410
    assert rows.min() > -10
    assert rows.max() < 210
    assert np.ptp(columns) > 300 or np.ptp(rows) > 150  # and fills it
    drawn = (render(cloud, view, size) != BACKGROUND).any(axis=2).astype(np.uint8)
    closed = cv2.morphologyEx(drawn, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    assert drawn.sum() > 0.98 * closed.sum()  # no holes between the points


def test_a_view_turns_with_the_cloud():
    frame = box_room(64)
    rgb = colored(64, 128)
    cloud = cloud_from_frame(frame, rgb)
    view = Viewpoint((0.3, -0.2, 0.1), 0.2, -0.3, 0.5)
    rolled = Frame(
        np.roll(frame.depth, 32, axis=1),
        np.roll(frame.normals, 32, axis=1) @ yaw_matrix(np.pi / 2).T.astype(np.float32),
        np.roll(frame.labels, 32, axis=1),
    )
    turned = cloud_from_frame(rolled, np.roll(rgb, 32, axis=1))
    position = yaw_matrix(np.pi / 2) @ np.array(view.position)
    other = Viewpoint(tuple(position), view.yaw + np.pi / 2, view.pitch, view.focal)
    first, second = render(cloud, view, (60, 120)), render(turned, other, (60, 120))
    assert (np.abs(first.astype(int) - second).max(axis=2) > 8).mean() < 0.01


def test_a_view_of_nothing_is_background():
    frame = box_room(16)
    frame.depth[:] = np.nan
    cloud = cloud_from_frame(frame, colored(16, 32))
    picture = render(cloud, dollhouse(cloud, (20, 40)), (20, 40))
    assert (picture == BACKGROUND).all()


def test_a_view_needs_an_organised_cloud():
    cloud = cloud_from_frame(box_room(16), colored(16, 32)).finite()
    with pytest.raises(ValueError, match="organised"):
        render(cloud, Viewpoint((0, 0, 0), 0, 0, 1), (20, 40))
