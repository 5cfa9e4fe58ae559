"""Rooms cut at one height: the walls of the analytic box from above."""

from __future__ import annotations

import box_room
import numpy as np
import pytest
import torch

from mtpano_model.classes import load_class_set
from mtpano_model.evaluation.slices import cut, slice_picture
from mtpano_model.geometry.sphere import pitch_matrix, roll_matrix
from mtpano_model.metrics.evaluation import Maps

LEVEL = np.array([0.0, 1.0, 0.0])
CLASSES = load_class_set("indoor18")


def box(height: int = 128) -> np.ndarray:
    return box_room.sample(height).depth[0].numpy().astype(np.float64)


def off_the_walls(points: np.ndarray) -> np.ndarray:
    """How far each point is from the outline of the box, metres."""
    (left, right), _, (back, front) = box_room.WALLS
    x, z = points.T
    return np.minimum.reduce(
        [np.abs(x - left), np.abs(x - right), np.abs(z - back), np.abs(z - front)]
    )


@pytest.mark.parametrize("level", [-1.0, 0.01, 0.6])
@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (12, 0), (-5, 15)])
def test_a_cut_runs_along_the_walls(level: float, pitch: float, roll: float) -> None:
    rotation = pitch_matrix(np.radians(pitch)) @ roll_matrix(np.radians(roll))
    turned = torch.from_numpy(rotation.T).float()
    rays = torch.einsum("ij,jhw->ihw", turned, box_room.panorama_rays(128))
    depth = box_room.cast(rays)[0].numpy().astype(np.float64)
    down = rotation @ LEVEL
    points = cut(depth, level, down)
    assert len(points) >= 240
    if (pitch, roll) == (0, 0):  # else the cut's axes are turned against the walls'
        assert off_the_walls(points).max() < 0.05  # at a corner
    distance = np.sqrt((points**2).sum(1))
    assert distance.min() == pytest.approx(2.0, abs=0.02)
    assert distance.max() == pytest.approx(5.0, abs=0.1)


def test_a_step_is_no_surface_in_truth_but_a_blurred_one_is_shown() -> None:
    depth = box()
    depth[:, 100:150] = 0.8
    exact = np.sqrt((cut(depth, 0.01, LEVEL, 1.3) ** 2).sum(1))
    assert not ((exact > 0.9) & (exact < 1.9)).any()
    blurred = depth.copy()
    blurred[:, 150] = 1.4
    shown = np.sqrt((cut(blurred, 0.01, LEVEL) ** 2).sum(1))
    assert ((shown > 1.3) & (shown < 1.5)).any()


def test_the_picture_shows_where_the_prediction_leaves_the_truth() -> None:
    sample = box_room.sample(128)
    truth = Maps(box(), None, sample.semseg.numpy())
    right, wrong = (
        slice_picture(scale * box(), truth, CLASSES, LEVEL, (220, 440)) for scale in (1.0, 0.7)
    )
    red = [(picture == (214, 39, 40)).all(-1) for picture in (right, wrong)]
    grey = [(picture == (60, 60, 60)).all(-1) for picture in (right, wrong)]
    assert all(mask.sum() > 200 for mask in red)
    assert grey[1].sum() > grey[0].sum() + 200  # the red no longer lies on the grey
    spread = [np.ptp(np.nonzero(mask)[0]) for mask in red]
    assert spread[1] == pytest.approx(0.7 * spread[0], abs=4)
    assert slice_picture(box(), Maps(0 * box(), None, None), CLASSES, LEVEL, (220, 440)) is None
