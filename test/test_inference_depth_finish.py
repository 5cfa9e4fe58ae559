"""Depth corrected by the normals: flat walls, sharp steps, nothing invented; compiled or not."""

from __future__ import annotations

import numpy as np
import pytest
from bowed_room import SIZE, bowed, room

from mtpano_model.geometry.sphere import rays, yaw_matrix, yaw_of_column_shift
from mtpano_model.inference.depth_finish import NormalsFinish
from mtpano_model.metrics.step_width import clean_steps, step_widths


@pytest.fixture(params=[False, True], ids=["numpy", "numba"])
def finish(request: pytest.FixtureRequest) -> NormalsFinish:
    if request.param:
        pytest.importorskip("numba")
    return NormalsFinish(request.param)


def test_bowed_walls_become_flat_and_keep_their_distance(finish: NormalsFinish) -> None:
    depth, normals, wall = room()
    before = bowed()
    after = finish(before, normals)
    assert after.dtype == np.float32
    for side in range(6):
        raw, left = (np.log(d / depth)[wall == side] for d in (before, after))
        if raw.std() > 0.01:
            assert left.std() < (0.25 if side >= 4 else 0.4) * raw.std()
    assert np.median(after / depth) == pytest.approx(1, abs=0.01)


def test_what_agrees_already_is_left_as_it_is(finish: NormalsFinish) -> None:
    depth, normals, _ = room()
    np.testing.assert_allclose(finish(depth, 3 * normals), depth, rtol=1e-4)


def test_true_steps_stay_and_blurred_ones_get_sharper(finish: NormalsFinish) -> None:
    depth = np.full((256, 512), 5.0, np.float32)
    depth[:, 100:240] = 2.0
    normals = np.ascontiguousarray(-np.moveaxis(rays(256, 512), -1, 0))
    np.testing.assert_allclose(finish(depth, normals), depth, rtol=1e-4)
    blurred = blur(depth, 9)
    windows = clean_steps(depth, np.ones(depth.shape, bool))
    widths = [step_widths(d, windows) for d in (blurred, finish(blurred, normals))]
    assert np.median(widths[0]) == pytest.approx(0.8 * 9 * 1024 / 512, rel=0.15)
    assert np.median(widths[1]) == pytest.approx(0.8 * 1024 / 512, rel=0.01)
    # A blur mixes metres, so the step was where half of the way is in metres, not in log depth.
    far = finish(blurred, normals)[128] > np.sqrt(10)
    np.testing.assert_array_equal(np.flatnonzero(np.diff(far)), [99, 239])


def blur(depth: np.ndarray, width: int) -> np.ndarray:
    """The mean over so many columns, which wrap."""
    reach = width // 2
    return np.mean(
        [np.roll(depth, k, 1) for k in range(-reach, reach + 1)], axis=0, dtype=np.float32
    )


def test_a_post_in_front_of_a_wall_is_not_taken_for_a_blurred_step(finish: NormalsFinish) -> None:
    depth = np.full((256, 512), 5.0, np.float32)
    depth[:, 100:104] = 2.0
    blurred = blur(depth, 7)
    normals = np.ascontiguousarray(-np.moveaxis(rays(256, 512), -1, 0))
    after = finish(blurred, normals)
    assert after[64:192, 101:103].max() < 1.02 * blurred[64:192, 101:103].min()


def test_a_gap_is_not_filled_because_of_what_lies_above_it(finish: NormalsFinish) -> None:
    """A gap between two cupboards under a far ceiling is between them and the ceiling, but that is
    no step."""
    depth = np.full((256, 512), 2.0, np.float32)
    depth[:, 100:103] = 5.0
    depth = blur(blur(depth, 5), 5)
    depth[:120] = 8.0
    normals = np.ascontiguousarray(-np.moveaxis(rays(256, 512), -1, 0))
    after = finish(depth, normals)
    np.testing.assert_allclose(after[120:192, 101], depth[120:192, 101], rtol=0.03)


def test_a_step_between_slanted_planes_lies_on_both_of_them(finish: NormalsFinish) -> None:
    """A table's edge over the floor: what is in between takes the one plane or the other."""
    ray = rays(256, 512)
    floor, table = 1.5 / ray[..., 1], 0.6 / ray[..., 1]
    depth = np.full((256, 512), 5.0)
    depth[160:] = floor[160:]
    depth[190:, 200:300] = table[190:, 200:300]
    normals = -np.moveaxis(ray, -1, 0).copy()
    normals[:, 160:] = np.reshape([0, -1, 0], (3, 1, 1))
    sharp = depth.astype(np.float32)
    after = finish(blur(sharp, 7), np.ascontiguousarray(normals, np.float32))
    below = np.s_[195:230]
    off = np.minimum(np.abs(after / floor - 1), np.abs(after / table - 1))[below]
    assert np.quantile(off, 0.99) < 0.01
    assert np.median(np.abs(after / sharp - 1)[below]) < 0.002


def test_a_wall_as_wide_as_the_picture_keeps_no_bow(finish: NormalsFinish) -> None:
    """All of the floor, bowed once around: few steps of an iteration do not reach so far."""
    ray = rays(*SIZE)
    down = ray[..., 1] > 0.1
    depth = np.where(down, 1.5 / np.maximum(ray[..., 1], 0.1), 15.0)
    turn = np.arctan2(ray[..., 0], ray[..., 2])
    bow = 1 + 0.03 * np.cos(turn) * np.sqrt(1 - ray[..., 1] ** 2)
    normals = np.where(down[..., None], [0, -1, 0], -ray)
    after = finish(
        (depth * bow).astype(np.float32),
        np.ascontiguousarray(np.moveaxis(normals, -1, 0), np.float32),
    )
    near = ray[..., 1] > 0.3
    assert np.log(after / depth)[near].std() < 0.5 * np.log(bow)[near].std()


def test_neither_where_the_seam_lies_nor_the_scale_makes_a_difference(
    finish: NormalsFinish,
) -> None:
    _, normals, _ = room()
    plain = finish(bowed(), normals)
    # By an odd number of columns the coarser grids have other pixels.
    for shift, tolerance in ((76, 1e-4), (77, 1e-3)):
        turn = yaw_matrix(yaw_of_column_shift(shift, SIZE[1])).astype(np.float32)
        rolled = np.einsum("ij,jhw->ihw", turn, np.roll(normals, shift, 2))
        again = finish(np.roll(bowed(), shift, 1), rolled)
        np.testing.assert_allclose(again, np.roll(plain, shift, 1), rtol=tolerance)
    np.testing.assert_allclose(finish(7 * bowed(), normals), 7 * plain, rtol=1e-4)


def test_what_is_unknown_stays_so_and_spoils_nothing(finish: NormalsFinish) -> None:
    _, normals, _ = room()
    depth = bowed()
    depth[20:30, 40:60] = np.nan
    depth[40, 40], depth[41, 41] = 0, -1
    normals[:, 70:75, 100] = np.nan
    normals[:, 80:85, 100] = 0
    with np.errstate(all="raise"):
        after = finish(depth, normals)
    assert np.array_equal(np.isnan(after), np.isnan(depth))
    assert after[40, 40] == 0
    assert after[41, 41] < 0
    known = np.isfinite(depth) & (depth > 0)
    assert (np.abs(np.log(after[known] / depth[known])) < 0.1).all()


def test_inputs_may_be_read_only_of_any_layout_and_are_left_as_they_are(
    finish: NormalsFinish,
) -> None:
    _, normals, _ = room()
    depth, kept = bowed(), normals.copy()
    plain = finish(depth, normals)
    np.testing.assert_array_equal(depth, bowed())
    np.testing.assert_array_equal(normals, kept)
    strided = np.moveaxis(np.ascontiguousarray(np.moveaxis(normals, 0, -1)), -1, 0)
    for harmless in (np.asfortranarray(depth), depth.astype(np.float64), depth.copy()):
        harmless.flags.writeable = False
        np.testing.assert_array_equal(finish(harmless, strided), plain)


@pytest.mark.parametrize("size", [(1, 2), (2, 4), (3, 6), (65, 130), (66, 132)])
def test_grids_of_any_size_stay_finite(finish: NormalsFinish, size: tuple[int, int]) -> None:
    normals = -np.moveaxis(rays(*size), -1, 0)
    depth = np.random.default_rng(0).lognormal(1, 1, size).astype(np.float32)
    after = finish(depth, normals)
    assert after.shape == size
    assert np.isfinite(after).all()
    np.testing.assert_allclose(finish(np.full(size, 2.0), normals), 2, rtol=1e-5)


def test_numba_and_numpy_agree() -> None:
    pytest.importorskip("numba")
    rng = np.random.default_rng(0)
    _, normals, _ = room()
    noisy = normals + rng.normal(0, 0.1, normals.shape).astype(np.float32)
    depth = bowed() * rng.lognormal(0, 0.05, SIZE).astype(np.float32)
    one, other = (NormalsFinish(compiled)(depth, noisy) for compiled in (False, True))
    np.testing.assert_allclose(one, other, rtol=1e-4)


@pytest.mark.parametrize("value", [1e-40, 1e-38, 3e38, np.inf, 0.0, -1.0, np.nan])
def test_one_depth_or_normal_of_any_size_changes_nothing_else(
    finish: NormalsFinish, value: float
) -> None:
    depth, normals, _ = room()
    plain = finish(depth, normals)
    far = np.ones(SIZE, bool)
    far[40:81, 40:81] = False
    for harmed in (depth, normals):
        kept = harmed[..., 60, 60].copy()
        harmed[..., 60, 60] = value
        np.testing.assert_allclose(finish(depth, normals)[far], plain[far], rtol=1e-3)
        harmed[..., 60, 60] = kept
