"""Pinhole views agree with the room and lie on the panorama where their rays say."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from robot_room import cast, down_after, neighbourhood, seen

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry import sphere
from mtpano_model.robot.turning import level_rotation
from mtpano_model.robot.views import View, ViewSampler, check_views, cube_views, four_views

SIZE = (256, 512)
SMALL = (120, 120)
VIEWS = (
    *cube_views(SMALL),
    View("tilted", -37.5, 20, 60, (90, 160)),
    View("wide", 170, -30, 120, (101, 77)),
)


@pytest.fixture(autouse=True)
def both_ways(compiled, monkeypatch):
    monkeypatch.setitem(globals(), "ViewSampler", partial(ViewSampler, compiled=compiled))


def rays_of(view: View) -> np.ndarray:
    """Rays of all pixels through K, as a consumer computes them: [h, w, 3], z = 1."""
    rows, columns = np.indices(view.size)
    pixels = np.stack([columns, rows, np.ones_like(rows)], -1)
    return pixels @ np.linalg.inv(view.camera_matrix).T


@pytest.mark.parametrize("view", VIEWS, ids=lambda v: v.name)
def test_a_view_reprojects_onto_the_panorama_to_a_quarter_of_a_pixel(view):
    """Columns and rows themselves are the picture, so what is sampled says from where."""
    rays = rays_of(view) @ view.rotation.T
    column, row = sphere.project(rays, *SIZE)
    # Two smooth functions of the place, large where a place counts: 64 grey levels are a pixel.
    near = np.abs(row - SIZE[0] / 2) < SIZE[0] * 0.36
    for axis, place in enumerate((row, column)):
        ramp = (np.indices(SIZE)[axis] + 0.5).astype(np.float32)
        sampled = ViewSampler(view).image(np.dstack([ramp] * 3))[..., 0]
        inside = near & (place > 2) & (place < SIZE[axis] - 2)
        assert np.abs(sampled - place)[inside].max(initial=0) < 0.25


def test_colours_are_interpolated_or_the_nearest_pixel_s():
    picture = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    smooth = ViewSampler(VIEWS[0]).image(picture)
    nearest = ViewSampler(VIEWS[0], smooth=False).image(picture)
    colours = {tuple(pixel) for pixel in picture.reshape(-1, 3).tolist()}
    assert all(tuple(pixel) in colours for pixel in nearest.reshape(-1, 3).tolist())
    assert smooth.std() < 0.9 * nearest.std()


@pytest.mark.parametrize("view", VIEWS, ids=lambda v: v.name)
@pytest.mark.parametrize("angle", [0, 15])
def test_depth_is_z_to_a_centimetre_or_half_a_pixel_and_never_between(view, angle):
    down = down_after((0.6, 0, 0.8), angle)
    depth, normals, ids = seen(down, SIZE)
    sampler = ViewSampler(view)
    z = sampler.depth(depth)
    rays = rays_of(view)
    # Where the view's rays really end.
    level_from_camera = level_rotation(down)
    reach, true_normal, true_ids = cast(rays @ view.rotation.T @ level_from_camera.T)
    true = reach  # rays have z = 1
    around = neighbourhood(np.nan_to_num(depth, posinf=1e9)).astype(np.float32)
    low, high = (ViewSampler(view).labels(f(around, axis=0)) for f in (np.min, np.max))
    surface = (high < 1.15 * low) & np.isfinite(true)
    off = np.abs(z - true)
    assert (off[surface] <= np.maximum(0.01, (high - low)[surface])).all()
    # Every value is one of the panorama's own, times the cosine of the ray.
    own = np.sort(depth[np.isfinite(depth)])
    ranges = (z * np.linalg.norm(rays, axis=-1))[np.isfinite(z)]
    after = np.searchsorted(own, ranges).clip(1, len(own) - 1)
    assert np.minimum(np.abs(own[after] - ranges), np.abs(own[after - 1] - ranges)).max() < 1e-4
    labels = sampler.labels(ids)
    assert (labels == true_ids).mean() > 0.97
    found = sampler.normals(normals)
    agree = (found * (true_normal @ level_from_camera @ view.rotation)).sum(-1)[surface]
    assert np.nanmean(agree > 0.999) > 0.97


def test_names_and_places_of_the_presets():
    axes = {view.name: view.rotation[:, 2].round(9) + 0.0 for view in cube_views()}
    assert {name: tuple(axis) for name, axis in axes.items()} == {
        "front": (0, 0, 1), "right": (1, 0, 0), "back": (0, 0, -1), "left": (-1, 0, 0),
        "up": (0, -1, 0), "down": (0, 1, 0),
    }  # fmt: skip
    assert [view.fov for view in four_views(96)] == [96] * 4
    assert check_views(four_views()) == ()
    assert check_views(cube_views()) == ()


def test_the_four_views_see_every_direction_around_and_the_cube_all():
    directions = sphere.rays(64, 128).reshape(-1, 3)
    for views, which in ((four_views(), np.abs(directions[:, 1]) < 0.3), (cube_views(), ...)):
        covered = np.zeros(len(directions), bool)
        for view in views:
            x, y, z = (directions @ view.rotation).T
            with np.errstate(divide="ignore", invalid="ignore"):
                pixel = view.camera_matrix @ np.stack([x / z, y / z, np.ones_like(z)])
            height, width = view.size
            covered |= (z > 0) & (np.abs(pixel[0] - (width - 1) / 2) <= width / 2) & (
                np.abs(pixel[1] - (height - 1) / 2) <= height / 2
            )  # fmt: skip
        assert covered[which].all()


def test_unknown_and_open_stay_what_they_are():
    depth = np.full(SIZE, np.nan, np.float32)
    depth[:, :256] = np.inf
    sampler = ViewSampler(View("front", 0))
    z = sampler.depth(depth)
    assert np.isposinf(z[:, :239]).all()
    assert np.isnan(z[:, 241:]).all()


@pytest.mark.parametrize(
    "values",
    [
        ("a", 0, 0, 0), ("a", 0, 0, 180), ("a", 0, 0, -90), ("a", 0, 0, np.nan), ("a", np.nan),
        ("a", 0, 91), ("a", 0, np.inf), ("a/b", 0), ("", 0), ("9", 0), ("a", 0, 0, 90, (0, 10)),
        ("a", 0, 0, 90, (480, 100000)),
    ],
)  # fmt: skip
def test_a_view_that_cannot_be_is_refused_in_one_sentence(values):
    with pytest.raises(MtpanoError, match="expected"):
        View(*values)


def test_views_that_show_the_same_are_told_and_twins_refused():
    (told,) = check_views([View("one", 0), View("two", 10)])
    assert "10 degrees apart" in told
    with pytest.raises(MtpanoError, match="two views are named 'one'"):
        check_views([View("one", 0), View("one", 90)])
    with pytest.raises(MtpanoError, match="90 to 96"):
        four_views(100)
