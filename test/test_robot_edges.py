"""Points that hang between fore- and background are found, and no others."""

from __future__ import annotations

from functools import cache, partial

import cv2
import numpy as np
import pytest
from robot_room import FLOOR_ID, PILLAR_ID, TILTS, WALL_ID, cast, down_after, neighbourhood, seen

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry import sphere
from mtpano_model.pictures.resize import resize_linear
from mtpano_model.robot.edge_filter import EdgeFilter

SIZE = (128, 256)


@pytest.fixture(autouse=True)
def both_ways(compiled, monkeypatch):
    monkeypatch.setitem(globals(), "EdgeFilter", partial(EdgeFilter, compiled=compiled))


@pytest.mark.parametrize(("axis", "angle"), TILTS[::3])
def test_interpolated_steps_lose_their_hanging_points_and_true_ones_stay(axis, angle):
    down = down_after(axis, angle)
    small = np.nan_to_num(seen(down, (64, 128))[0], posinf=12)
    blurred = resize_linear(small.astype(np.float32), (256, 512))
    exact = np.nan_to_num(seen(down, (256, 512))[0], posinf=12)
    filtered = EdgeFilter(15).hanging(blurred, seen(down, (256, 512))[1])
    around = neighbourhood(exact, 4)
    near, far = around.min(0), around.max(0)
    between = (blurred > 1.25 * near) & (blurred < far / 1.25)
    between &= np.abs(around / blurred - 1).min(0) > 0.1
    assert between.sum() > 200
    assert filtered[between].mean() > 0.6
    assert filtered[far < 1.05 * near].mean() < 0.002
    assert (
        EdgeFilter(15).hanging(exact.astype(np.float32), seen(down, (256, 512))[1]).mean() < 0.004
    )


@cache
def hall(height):
    """60 x 30 x 8 m with pillars, seen from `height`: what is true at 512x1024, depth as a network
    blurs it at half of that, which of it hangs, and normals that are 8 degrees off."""
    low, high = height, height - 8
    walls = [(-21, -20, -12, 18), (40, 41, -12, 18), (-20, 40, -13, -12), (-20, 40, 18, 19)]
    pillars = [(x, x + 0.6, z, z + 0.6) for x in (-12, -4, 4, 12, 20, 30) for z in (-6, 4, 12)]
    boxes = [(-60, 60, low, low + 1, -60, 60, FLOOR_ID), (-60, 60, high - 1, high, -60, 60, 2)]
    boxes += [(a, b, high, low, c, d, WALL_ID) for a, b, c, d in walls]
    boxes += [(a, b, high, low, c, d, PILLAR_ID) for a, b, c, d in pillars]
    true, _, ids = cast(sphere.rays(512, 1024), np.array(boxes, float))
    metres, normals, _ = cast(sphere.rays(256, 512), np.array(boxes, float))

    def blurred(values, sigma):
        wide = cv2.copyMakeBorder(values, 16, 16, 0, 0, cv2.BORDER_REPLICATE)
        wide = cv2.copyMakeBorder(wide, 0, 0, 16, 16, cv2.BORDER_WRAP)
        return np.ascontiguousarray(cv2.GaussianBlur(wide, (0, 0), sigma)[16:-16, 16:-16])

    depth = np.exp(resize_linear(blurred(np.log(metres).astype(np.float32), 2), (512, 1024)))
    wrong = np.random.default_rng(0).normal(size=(512, 1024, 3))
    wrong = blurred(wrong, 6)
    normals = (
        np.stack(
            [
                resize_linear(plane, (512, 1024))
                for plane in np.moveaxis(blurred(normals, 1.5), -1, 0)
            ],
            -1,
        )
        + wrong * np.radians(8) / wrong.std()
    )
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    # Neither near- nor farthest within 8 pixels, and nothing there is as far away.
    near = far = true
    off = np.abs(depth / true - 1)
    for i, j in np.ndindex(17, 17):
        other = np.roll(true, (i - 8, j - 8), (0, 1))
        near, far = np.minimum(near, other), np.maximum(far, other)
        off = np.minimum(off, np.abs(depth / other - 1))
    between = (depth > 1.07 * near) & (depth < far / 1.07) & (off > 0.05)
    return true, ids, depth.astype(np.float32), between, normals.astype(np.float32)


@pytest.mark.parametrize("height", [0.3, 1.2])
@pytest.mark.parametrize("told", [True, False], ids=["normals", "no normals"])
def test_the_floor_of_a_hall_stays_however_slantingly_it_is_seen(height, told):
    true, ids, depth, between, normals = hall(height)
    hanging = EdgeFilter(15).hanging(depth, normals if told else None)
    floor = (ids == FLOOR_ID) & (np.abs(depth / true - 1) < 0.1)
    for near, far in ((0, 2), (2, 5), (5, 10), (10, 20)):
        ring = floor & (true >= near) & (true < far)
        assert ring.sum() > 200
        assert hanging[ring].mean() < (0.01 if far <= 5 else 0.08)
    assert between.sum() > 10_000
    assert hanging[between].mean() > 0.65


def test_a_ramp_of_one_pixel_is_found_on_every_side_and_across_the_seam():
    for place in ((30, 50), (30, 0), (30, 255)):
        for axis in (0, 1):
            depth = np.full(SIZE, 2, np.float32)
            rows, columns = np.indices(SIZE)
            offset = (columns - place[1] + 128) % 256 - 128 if axis else rows - place[0]
            depth[(offset > 0) & (offset < 60)] = 5
            depth[offset == 0] = 3
            hanging = EdgeFilter(15).hanging(depth)
            if axis:
                assert hanging[5:-5][(offset == 0)[5:-5]].all()
            assert hanging[place]
            assert not hanging[:, 128].any() or not axis
            assert not hanging[depth == 2].any()
            assert not hanging[depth == 5].any()


def test_zero_is_off_and_unknown_depth_is_nobody_s_neighbour():
    depth = np.full(SIZE, 2, np.float32)
    depth[40:60, 40:60] = np.nan
    depth[80:90] = np.inf
    assert not EdgeFilter(15).hanging(depth).any()
    depth[:, 100] = 4
    depth[:, 101] = 8
    assert not EdgeFilter(0).hanging(depth).any()


@pytest.mark.parametrize("degrees", [-1, 90, np.nan])
def test_an_angle_that_cannot_be_is_refused(degrees):
    with pytest.raises(MtpanoError, match="edge_filter"):
        EdgeFilter(degrees)
