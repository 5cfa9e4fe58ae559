"""Auxiliary targets: against the release's, against brute force, and across the seam."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mtpano_model.training.auxiliary import (
    edge_distance_field,
    image_gradient,
    image_targets,
    point_map,
)


@pytest.fixture(scope="module")
def release(reference: Path) -> dict[str, torch.Tensor]:
    return load_file(reference / "losses_a" / "tensors.safetensors")


@pytest.mark.parametrize("i", [0, 1])
def test_image_gradient_is_the_release_s(release, i: int) -> None:
    ours = image_targets(release["image_uint8"][i])["grad"]
    torch.testing.assert_close(ours, release["auxiliary_target.grad"][i], rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("i", [0, 1])
def test_edge_distance_is_the_release_s_where_the_seam_plays_no_part(release, i: int) -> None:
    """The release does not wrap: compared where the plain and our distance agree.

    Its jump flooding is off by a little here and there.
    """
    targets = image_targets(release["image_uint8"][i])
    ours, theirs = targets["edf"], release["auxiliary_target.sdf"][i]
    plain = plain_edge_distance(targets["grad"].numpy())
    agree = torch.from_numpy(np.abs(plain - ours.numpy()) < 1e-6)
    assert agree.float().mean() > 0.9  # elsewhere the nearest edge lies across the seam
    assert ((ours - theirs).abs()[agree] < 1e-3).float().mean() > 0.995
    across = ours[~agree]
    assert len(across)
    assert (across <= theirs[~agree] + 1e-6).all()  # wrapping can only come nearer


def plain_edge_distance(gradient: np.ndarray) -> np.ndarray:
    from scipy.ndimage import distance_transform_edt

    edge = np.hypot(gradient[0], gradient[1]) > 0.5
    edge[:8] = edge[-8:] = False
    return np.log1p(distance_transform_edt(~edge))[None]


def test_edge_distance_by_brute_force_on_the_cylinder() -> None:
    gradient = np.zeros((2, 24, 48), np.float32)
    edges = [(10, 1), (12, 46), (15, 20)]
    for row, column in edges:
        gradient[0, row, column] = 1.0
    rows, columns = np.mgrid[:24, :48]
    distance = np.min(
        [
            np.hypot(rows - row, np.minimum(abs(columns - column), 48 - abs(columns - column)))
            for row, column in edges
        ],
        axis=0,
    )
    np.testing.assert_allclose(edge_distance_field(gradient)[0], np.log1p(distance), rtol=1e-5)


def test_edges_at_the_poles_and_no_edge_at_all() -> None:
    gradient = np.zeros((2, 32, 64), np.float32)
    gradient[:, :8] = gradient[:, -8:] = 5.0
    np.testing.assert_allclose(edge_distance_field(gradient), np.log1p(32.0), rtol=1e-6)


@pytest.mark.parametrize("shift", [1, 17, 40])
def test_targets_roll_with_the_picture(shift: int) -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 32, 64), np.uint8))
    image[:, :, 5:25] = 90  # room for distances
    for name, target in image_targets(image).items():
        rolled = image_targets(image.roll(shift, -1))[name]
        torch.testing.assert_close(rolled, target.roll(shift, -1), rtol=1e-5, atol=1e-6)


def test_gradient_points_right_and_down() -> None:
    ramp = np.zeros((8, 16, 3), np.uint8)
    ramp[:, 4:12] = (np.arange(8) * 10 + 50)[None, :, None]
    gradient = image_gradient(ramp)
    assert gradient[0, 4, 7] == pytest.approx(8 * 10 / 255, rel=1e-4)
    assert gradient[1, 4, 7] == pytest.approx(0, abs=1e-5)
    down = image_gradient(np.ascontiguousarray(np.broadcast_to(ramp[0, 4:12, None], (8, 16, 3))))
    assert down[1, 4, 7] == pytest.approx(8 * 10 / 255, rel=1e-4)
    assert (down[:, [0, -1]] == 0).all()


def test_point_map_is_depth_along_the_ray() -> None:
    depth = torch.rand(2, 1, 16, 32) * 5
    points = point_map(depth)
    torch.testing.assert_close(points.norm(dim=1, keepdim=True), depth, rtol=1e-5, atol=1e-5)
    ahead = points[0, :, 7:9, 15:17].mean((1, 2))  # the image centre looks along +z
    assert ahead[2] > 0
    assert ahead[2] > 10 * ahead[:2].abs().max()
    assert (points[:, 1, :8] < 0).all()  # y points down
