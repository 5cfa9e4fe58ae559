"""Sphere to patch and back, against an analytic room and against py360convert."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from box_room import cast, panorama_rays

from mtpano_model.geometry import perspective as p
from mtpano_model.geometry import sphere


def views(size=(48, 64)) -> p.Views:
    """Over the seam, at both poles, level and oblique."""
    deg = torch.tensor(
        [[0, 0, 90], [180, 0, 90], [179, -30, 120], [20, 90, 80], [70, -90, 100], [-100, 45, 85.0]]
    ).deg2rad()
    return p.Views.look(*deg.T, size)


def test_patches_of_the_analytic_room_are_what_a_camera_there_would_see():
    height = 512
    cameras = views()
    distance, normal, wall = cast(panorama_rays(height))
    seen_depth = p.to_patches(distance[None], cameras)
    seen_wall = p.to_patches(wall[None].to(torch.uint8), cameras, "nearest")
    seen_normal = p.to_patches(normal.float(), cameras, "nearest")
    rays = p.rotate(p.camera_rays(cameras), cameras.rotation)
    for n in range(len(cameras)):
        distance_n, normal_n, wall_n = cast(rays[n])
        same = seen_wall[n, 0] == wall_n
        assert same.float().mean() > 0.985  # only pixels on an edge may differ
        inside = _away_from_edges(wall_n)
        assert same[inside].all()
        error = (seen_depth[n, 0] / distance_n - 1).abs()[inside]
        assert error.max() < 1e-3
        torch.testing.assert_close(seen_normal[n][:, inside], normal_n[:, inside].float())


def _away_from_edges(wall: torch.Tensor) -> torch.Tensor:
    near = torch.zeros_like(wall, dtype=torch.bool)
    near[1:] |= wall[1:] != wall[:-1]
    near[:-1] |= wall[1:] != wall[:-1]
    near[:, 1:] |= wall[:, 1:] != wall[:, :-1]
    near[:, :-1] |= wall[:, 1:] != wall[:, :-1]
    return ~near


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_there_and_back_returns_the_rooms_own_depth(mode):
    size = (64, 128)
    distance, _, wall = cast(panorama_rays(size[0]))
    cameras = views((200, 200))
    exact = torch.stack([cast(r)[0] for r in p.rotate(p.camera_rays(cameras), cameras.rotation)])
    canvas, valid = p.to_canvas(exact[:, None], cameras, size, mode)
    assert valid.any(0).float().mean() > 0.75
    assert (canvas[~valid] == 0).all()
    error = (canvas[:, 0] / distance - 1).abs()
    smooth = valid[:, 0] & _away_from_edges(wall)
    assert error[smooth].max() < (0.004 if mode == "bilinear" else 0.06)


def test_a_smooth_field_is_reproduced_over_the_seam_and_both_poles():
    # The ray itself is a smooth vector field on the sphere, with nothing special at any border.
    rays = panorama_rays(256)
    cameras = views()
    seen = p.to_patches(rays, cameras)
    truth = p.rotate(p.camera_rays(cameras), cameras.rotation)
    assert (seen - truth).abs().max() < 2e-4


def test_every_corner_of_a_tiny_panorama_is_interpolated_on_the_sphere():
    height, width = 4, 8
    panorama = torch.rand(1, height, width, generator=torch.Generator().manual_seed(0))
    # A point between the last and the first column, and points beyond the first and last row.
    for row, column, expected in [
        (1.5, 0.0, (panorama[0, 1, 7] + panorama[0, 1, 0]) / 2),
        (0.0, 2.5, (panorama[0, 0, 2] + panorama[0, 0, 6]) / 2),
        (4.0, 5.5, (panorama[0, 3, 5] + panorama[0, 3, 1]) / 2),
        (0.0, 0.0, panorama[0, 0, [7, 0, 3, 4]].mean()),
    ]:
        lon, lat = (column / width - 0.5) * 2 * math.pi, (0.5 - row / height) * math.pi
        # One camera of one pixel that looks exactly there.
        camera = p.Views.look([lon], [lat], [0.1], (1, 1))
        assert p.to_patches(panorama, camera).item() == pytest.approx(expected.item(), abs=1e-5)


def test_range_and_z_are_inverse_and_differ_by_the_axis_angle():
    cameras = p.Views.look([0.0], [0.0], [math.pi / 2], (3, 3))
    z = torch.full((1, 1, 3, 3), 2.0)
    distance = p.z_to_range(z, cameras)
    # With hfov 90 degrees and 3 pixels the corner pixel's centre lies at x = y = 2/3 on z = 1.
    assert distance[0, 0, 1, 1].item() == pytest.approx(2.0)
    assert distance[0, 0, 0, 0].item() == pytest.approx(2 * math.sqrt(1 + 2 * 4 / 9), rel=1e-6)
    torch.testing.assert_close(p.range_to_z(distance, cameras), z)


def test_looking_right_and_up_shows_what_is_there():
    rays = panorama_rays(64)
    right = p.to_patches(rays, p.Views.look([math.pi / 2], [0.0], [1.0], (1, 1)))[0, :, 0, 0]
    up = p.to_patches(rays, p.Views.look([0.0], [math.pi / 4], [1.0], (1, 1)))[0, :, 0, 0]
    np.testing.assert_allclose(right, [1, 0, 0], atol=2e-3)
    np.testing.assert_allclose(up, [0, -math.sqrt(0.5), math.sqrt(0.5)], atol=2e-3)


def test_integer_pictures_stay_integers():
    picture = torch.randint(0, 256, (3, 16, 32), dtype=torch.uint8)
    for mode in ("bilinear", "nearest"):
        patch = p.to_patches(picture, views((8, 8)), mode)
        assert patch.dtype == torch.uint8
        assert p.to_canvas(patch, views((8, 8)), (16, 32), mode)[0].dtype == torch.uint8


def test_turning_the_panorama_by_a_column_multiple_is_a_roll():
    picture = torch.rand(1, 2, 16, 32)
    rotation = torch.from_numpy(sphere.yaw_matrix(sphere.yaw_of_column_shift(5, 32))).float()
    places = p.Places.turned(rotation[None], (16, 32))
    turned = places.sample(picture)
    torch.testing.assert_close(turned, picture.roll(5, -1), atol=2e-5, rtol=0)
    nearest = places.sample(picture, "nearest")
    torch.testing.assert_close(nearest, picture.roll(5, -1))


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match="width 33 is odd"):
        p.to_patches(torch.zeros(1, 16, 33), views())


def test_gradients_reach_the_panorama_through_interior_and_border():
    panorama = torch.rand(1, 6, 12, dtype=torch.float64, requires_grad=True)
    camera = p.Views.look([math.pi], [0.3], [1.5], (5, 5))
    assert torch.autograd.gradcheck(
        lambda x: p.to_patches(x, camera), (panorama,), atol=1e-6, eps=1e-4
    )


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (180, 0), (57, 33), (-120, 90), (10, -90)])
def test_same_picture_as_py360convert(yaw, pitch):
    py360convert = pytest.importorskip("py360convert")
    smooth = torch.nn.functional.interpolate(
        torch.rand(1, 3, 8, 16, generator=torch.Generator().manual_seed(1)),
        (64, 128),
        mode="bilinear",
    )[0]
    h = w = 40
    fov = 80.0
    theirs = py360convert.e2p(smooth.movedim(0, -1).numpy(), fov, yaw, pitch, (h, w))
    # Its field of view spans the outer pixels' centres, ours their outer edges.
    wider = 2 * math.atan(math.tan(math.radians(fov) / 2) * w / (w - 1))
    camera = p.Views.look([math.radians(yaw)], [math.radians(pitch)], [wider], (h, w))
    ours = p.to_patches(smooth, camera)[0].movedim(0, -1).numpy()
    # OpenCV, which it samples with, rounds places to 1/32 pixel; a pixel here differs from its
    # neighbour by up to 1/8, and by up to 1 across the seam.
    error = np.abs(ours - theirs)
    assert np.quantile(error, 0.99) < 2e-3
    assert error.max() < 1 / 64
