"""Points that hang between fore- and background are found, and no others."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from robot_room import TILTS, down_after, neighbourhood, seen

from mtpano_model.errors import MtpanoError
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
