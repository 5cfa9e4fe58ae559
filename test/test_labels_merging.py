"""Votes, mean normals and joint depth scales against direct computations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mtpano_model.geometry import perspective
from mtpano_model.labels import depth_scale, edges
from mtpano_model.labels.config import LabelConfig
from mtpano_model.labels.merging import ClassVotes, NormalMean, Seen
from mtpano_model.labels.sampling import sample_angles, views_of

CPU = torch.device("cpu")


def overlapping_patches(scales: torch.Tensor, noise: float = 0.0, seed: int = 0) -> torch.Tensor:
    """Log depth of patches that each see a third of 1200 pixels, times exp(scale)."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(1200, generator=generator) * 2
    seen = torch.rand(len(scales), 1200, generator=generator) < 1 / 3
    errors = noise * torch.randn(seen.shape, generator=generator)
    return torch.where(seen, truth + scales[:, None] + errors, torch.nan)


def test_scales_are_found_up_to_their_mean():
    scales = torch.tensor([0.3, -0.2, 0.05, 0.0, -0.4])
    found = depth_scale.solve_scales(overlapping_patches(scales))
    np.testing.assert_allclose(found, scales - scales.mean(), atol=1e-6)


def test_scales_bear_a_patch_that_is_wrong_in_a_corner_and_noise():
    scales = 0.2 * torch.randn(8, generator=torch.Generator().manual_seed(1))
    depth = overlapping_patches(scales, noise=0.02)
    depth[0, :300] += 1.0  # a quarter of the first patch sees through a mirror
    found = depth_scale.solve_scales(depth)
    # The median of a quarter of outliers is the noise's 2/3 quantile: 0.43 x 0.02 x sqrt(2).
    np.testing.assert_allclose(found, scales - scales.mean(), atol=0.02)


def test_groups_that_do_not_meet_keep_their_own_mean_and_blind_patches_do_no_harm():
    scales = torch.tensor([0.3, -0.1, 0.5, 0.1, 0.0])
    depth = overlapping_patches(scales)
    depth[:2, 600:], depth[2:4, :600], depth[4] = torch.nan, torch.nan, torch.nan
    found = depth_scale.solve_scales(depth)
    np.testing.assert_allclose(found, [0.2, -0.2, 0.2, -0.2, 0.0], atol=1e-6)
    assert (depth_scale.solve_scales(torch.full((3, 50), torch.nan)) == 0).all()


def test_weighted_median_is_the_one_of_repeated_values():
    rng = np.random.default_rng(0)
    pixel, weight = rng.integers(0, 40, 300), rng.integers(1, 6, 300)
    value = rng.uniform(0.1, 80, 300).astype(np.float32)
    pixel[pixel == 7] = 8
    median = depth_scale.weighted_median(
        torch.from_numpy(pixel),
        torch.from_numpy(value),
        torch.from_numpy(weight.astype(np.uint8)),
        41,
    )
    assert median[7] == median[40] == 0
    for p in set(pixel.tolist()):
        repeated = np.repeat(value[pixel == p], weight[pixel == p])
        assert median[p].item() == pytest.approx(np.median(repeated), rel=1e-6)


def test_the_weighted_median_reaches_the_last_pixel_of_the_largest_canvas():
    pixels = LabelConfig(height=2048).size[0] * LabelConfig(height=2048).size[1]
    pixel = torch.tensor([pixels - 1, 0, pixels - 1, pixels - 1])
    value, weight = torch.tensor([3e38, 2.0, 5.0, 1.0]), torch.full((4,), 255, dtype=torch.uint8)
    median = depth_scale.weighted_median(pixel, value, weight, pixels)
    assert (median[0], median[-1]) == (2.0, 5.0)


def whole_patch(weights: list[float]) -> Seen:
    """A patch of one row that sees pixels 0, 1, ... of the canvas one to one."""
    count = len(weights)
    x = (2 * torch.arange(count) + 1) / count - 1
    return Seen(torch.arange(count), torch.stack([x, 0 * x], -1), torch.tensor(weights))


def test_votes_weigh_confidence_and_place_and_tell_how_sure_they_are():
    votes = ClassVotes(4, 3, CPU)
    everywhere = torch.ones(1, 1, 3, dtype=torch.bool)

    def cast(classes, confidence, weights, valid=everywhere):
        ids = torch.tensor(classes, dtype=torch.uint8).view(1, 1, 3)
        votes.add(whole_patch(weights), ids, torch.tensor(confidence).view(1, 1, 3), valid)

    cast([1, 2, 255], [0.5, 0.9, 0.9], [1.0, 1.0, 1.0])
    cast([3, 2, 255], [0.9, 0.8, 0.9], [0.5, 1.0, 1.0])
    cast([0, 0, 0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0], valid=~everywhere)
    winner, share = votes.merge()
    # Pixel 0: class 1 has 0.5, class 3 has 0.45 of 1.5. Pixel 1: 1.7 of 2. Pixel 2: nobody knows.
    assert winner.tolist() == [1, 2, 255]
    np.testing.assert_allclose(share, [0.5 / 1.5, 0.85, 0], atol=1e-6)


def test_normals_are_turned_averaged_and_dropped_where_they_contradict():
    mean = NormalMean(3, CPU)
    seen = whole_patch([1.0, 1.0, 1.0])
    valid = torch.ones(1, 1, 3, dtype=torch.bool)
    turn = views_of(np.array([[90.0, 0, 90]]), 1).rotation[0]
    ahead = torch.tensor([0.0, 0, -1])
    a, b = math.radians(10), math.radians(-20)
    first = torch.stack([torch.tensor([math.sin(a), 0, -math.cos(a)]), ahead, ahead], -1)
    second = torch.stack([torch.tensor([math.sin(b), 0, -math.cos(b)]), ahead, -ahead], -1)
    for normals in (first, second):
        mean.add(seen, normals[:, None], turn, valid)
    merged = mean.merge()
    # Looking right, "towards the camera" is -x; 10 and -20 degrees average to -5.
    c = math.radians(-5)
    np.testing.assert_allclose(merged[:, 0], [-math.cos(c), 0, -math.sin(c)], atol=1e-6)
    np.testing.assert_allclose(merged[:, 1], [-1, 0, 0], atol=1e-6)
    assert (merged[:, 2] == 0).all()


# --- masks ---------------------------------------------------------------------------------------


def test_a_slanted_floor_has_no_edge_and_a_step_has_one():
    camera = views_of(np.array([[0.0, 0, 90]]), 64)
    down = perspective.camera_rays(camera)[:, 1:2]
    floor = torch.where(down > 0.02, 0.4 / down, torch.nan)  # 0.4 m below, up to 20 m far
    z = perspective.range_to_z(floor, camera)
    valid = z.isfinite()
    assert not edges.depth_edges(z, valid, 0.1).any()
    step = z.clone()
    step[..., 32:] *= 1.25
    found = edges.depth_edges(step, valid, 0.1)[0, 0]
    rows = valid[0, 0].all(1)
    assert found[rows][:, 30:34].all()
    assert not found[:, :30].any()
    assert not found[:, 34:].any()
    assert not edges.depth_edges(
        torch.full((1, 1, 5, 5), torch.nan), ~valid[..., :5, :5], 0.1
    ).any()


def test_erosion_takes_the_border_and_what_is_around_a_hole():
    valid = torch.ones(1, 1, 9, 9, dtype=torch.bool)
    valid[0, 0, 4, 4] = False
    kept = edges.erode(valid, 1)[0, 0]
    expected = torch.zeros(9, 9, dtype=torch.bool)
    expected[1:-1, 1:-1] = True
    expected[3:6, 3:6] = False
    assert torch.equal(kept, expected)
    assert torch.equal(edges.erode(valid, 0), valid)


# --- sampling ------------------------------------------------------------------------------------


def test_views_are_uniform_in_their_ranges_and_follow_from_name_and_seed():
    config = LabelConfig(patches=8)
    angles = np.concatenate([sample_angles(config, (-90, 90), f"p{n}") for n in range(500)])
    unit = (angles - [0, -90, 80]) / [360, 180, 40]
    counts = [np.histogram(column, 10, (0, 1))[0] for column in unit.T]
    assert np.abs(np.array(counts) / 400 - 1).max() < 0.2  # 400 each, five standard deviations
    same = sample_angles(config, (-90, 90), "p3")
    np.testing.assert_array_equal(same, angles[24:32])
    other = sample_angles(LabelConfig(patches=8, seed=1), (-90, 90), "p3")
    assert np.abs(other - same).max() > 1


def test_thirty_two_views_leave_next_to_nothing_unseen():
    unseen = []
    for n in range(10):
        views = views_of(sample_angles(LabelConfig(), (-90, 90), f"room {n}"), 64)
        seen = torch.zeros(32 * 64, dtype=torch.bool)
        for pixels, _ in perspective.seen_pixels(views, (32, 64)):
            seen[pixels] = True
        unseen.append(1 - seen.float().mean().item())
    assert np.mean(unseen) < 0.003
