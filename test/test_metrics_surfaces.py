"""Bowed walls, blurred steps and hanging points, on rooms and steps known in closed form."""

from __future__ import annotations

import box_room
import numpy as np
import pytest

from mtpano_model.geometry.sphere import rays, solid_angles
from mtpano_model.metrics.figures import mean_figures
from mtpano_model.metrics.surfaces import SurfaceMetrics, measure_surface
from mtpano_model.metrics.true_planes import planes

SIZE = (128, 256)
EVERYWHERE = np.ones(SIZE, bool)


def room(height: int = SIZE[0]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth [H, W], normals [H, W, 3] and numbers of the six walls of the analytic box."""
    distance, normal, wall = (a.numpy() for a in box_room.cast(box_room.panorama_rays(height)))
    return distance, np.moveaxis(normal, 0, -1).astype(np.float32), wall


def figures_of(depth, normals, truth, true_normals, walls=None) -> dict[str, float]:
    metrics = SurfaceMetrics()
    known = np.ones(truth.shape, bool)
    metrics.add(
        measure_surface(depth.astype(np.float32), normals, truth, true_normals, known, walls)
    )
    return metrics.pooled()


# --- walls ----------------------------------------------------------------------------------------


def test_the_planes_of_a_box_are_its_six_sides_even_where_a_strip_divides_them() -> None:
    depth, normals, wall = room()
    for gap in (0, 12):
        chosen = EVERYWHERE.copy()
        chosen[:, 60 : 60 + gap] = False  # through the wall at z = -2.5, which the seam parts too
        found = planes(depth, normals, chosen)
        assert sorted(int(wall.ravel()[pixels[0]]) for pixels in found) == [0, 1, 2, 3, 4, 5]
        for pixels in found:
            assert len(np.unique(wall.ravel()[pixels])) == 1
            assert len(pixels) > 0.6 * (wall == wall.ravel()[pixels[0]])[chosen].sum()


def test_a_surface_that_bends_is_no_plane() -> None:
    depth = np.full(SIZE, 3.0, np.float32)
    assert planes(depth, -rays(*SIZE), EVERYWHERE) == []


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_truth_at_any_scale_has_no_bow_and_agrees_with_its_normals(scale: float) -> None:
    depth, normals, _ = room()
    figures = figures_of(scale * depth, normals, depth, normals, EVERYWHERE)
    assert figures["wall_bow"] < 1e-5
    assert figures["depth_to_normals_deg"] < 0.1
    assert figures["hanging"] == figures["hanging_truth"] == 0
    assert "step_width_px" not in figures  # the box has none


@pytest.mark.parametrize("amount", [0.005, 0.02, 0.05])
def test_a_bowed_wall_is_measured_as_it_was_bowed(amount: float) -> None:
    """The wall at z = 4 swells by a cosine along x; least squares of z over x, y tell how far."""
    depth, normals, wall = room(256)
    ray = rays(256, 512).astype(np.float64)
    swollen = depth * (1 + amount * np.cos(np.pi * ray[..., 0] * depth / 2.0))
    bowed = np.where(wall == 5, swollen, depth)
    figures = figures_of(bowed, normals, depth, normals, wall == 5)
    here = wall == 5
    points, weights = (
        ray[here] * bowed[here][:, None],
        np.broadcast_to(solid_angles(256, 512), here.shape)[here],
    )
    columns = np.column_stack([points[:, :2], np.ones(len(points))])
    root = np.sqrt(weights)
    solution = np.linalg.lstsq(columns * root[:, None], points[:, 2] * root, rcond=None)[0]
    off = points[:, 2] - columns @ solution
    expected = np.sqrt(np.average(off**2, weights=weights))
    expected /= np.average(bowed[here], weights=weights)
    assert figures["wall_bow"] == pytest.approx(expected, rel=0.06)  # without the wall's margin
    assert figures["wall_bow"] > 0.4 * amount


def test_walls_count_by_the_angle_they_are_seen_at_and_unpredicted_ones_not_at_all() -> None:
    depth, normals, wall = room(256)
    ray = rays(256, 512)
    bowed = np.where(wall == 5, depth * (1 + 0.05 * np.cos(2 * ray[..., 0] * depth)), depth)
    alone = figures_of(bowed, normals, depth, normals, wall == 5)["wall_bow"]
    together = figures_of(bowed, normals, depth, normals, wall >= 4)["wall_bow"]
    angles = [np.broadcast_to(solid_angles(256, 512), wall.shape)[wall == w].sum() for w in (4, 5)]
    assert together == pytest.approx(alone * angles[1] / sum(angles), rel=0.1)
    bowed[wall == 5] = np.nan
    assert figures_of(bowed, normals, depth, normals, wall >= 4)["wall_bow"] < 1e-5


@pytest.mark.parametrize("degrees", [2.0, 7.0, 20.0])
def test_normals_that_contradict_depth_are_told_by_their_angle(degrees: float) -> None:
    depth, normals, _ = room()
    axis = np.roll(normals, 1, axis=-1)  # at right angles to a wall's normal
    turned = np.cos(np.radians(degrees)) * normals + np.sin(np.radians(degrees)) * axis
    figures = figures_of(depth, turned.astype(np.float32), depth, normals)
    assert figures["depth_to_normals_deg"] == pytest.approx(degrees, abs=0.1)


# --- steps ----------------------------------------------------------------------------------------


def steps(width: int = 512, first: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """A sphere of 2 m over a third of the columns, of 5 m elsewhere, and its normals."""
    depth = np.full((width // 2, width), 5.0, np.float32)
    depth[:, (first + np.arange(width // 3)) % width] = 2.0
    return depth, -rays(*depth.shape)


@pytest.mark.parametrize("first", [0, 100, 400])  # the second and third lie at and across the seam
@pytest.mark.parametrize("columns", [1, 3, 5])
@pytest.mark.parametrize("width", [512, 1024])
def test_a_step_that_is_smeared_over_n_columns_is_eight_tenths_of_that_wide(
    width: int, columns: int, first: int
) -> None:
    truth, normals = steps(width, first)
    kernel = np.ones(columns) / columns
    padded = np.concatenate([truth[:, -9:], truth, truth[:, :9]], 1)
    blurred = np.apply_along_axis(np.convolve, 1, padded, kernel, "same")[:, 9:-9]
    for scale in (1.0, 1.6):
        figures = figures_of(scale * blurred, normals, truth, normals)
        assert figures["step_width_px"] == pytest.approx(0.8 * columns * 1024 / width, rel=0.01)
        assert figures["step_width_truth_px"] == pytest.approx(0.8 * 1024 / width, rel=0.01)
        assert figures["steps_missed"] == 0


def test_a_step_that_is_not_there_is_missed() -> None:
    truth, normals = steps()
    one = truth.copy()
    one[:, 90:110] = 5.0  # the left of the two edges has gone elsewhere
    one[:, 80:120] = 3.0
    figures = figures_of(one, normals, truth, normals)
    assert figures["steps_missed"] == pytest.approx(0.5)
    assert figures["step_width_px"] == pytest.approx(1.6, rel=0.01)


def test_points_that_hang_are_counted() -> None:
    truth, normals = steps()
    hanging = truth.copy()
    for row in range(0, 256, 4):  # every fourth row: a point in the air at both edges
        hanging[row, 100], hanging[row, 99 + 512 // 3] = 3.2, 3.2
    figures = figures_of(hanging, normals, truth, normals)
    assert figures["hanging"] == pytest.approx(2 * 64 / truth.size, rel=0.02)
    assert figures["hanging_truth"] == 0


def test_frames_are_pooled_and_those_without_a_figure_do_not_count_in_its_mean() -> None:
    box, step = room(256)[:2], steps()
    metrics = SurfaceMetrics()
    known = np.ones((256, 512), bool)
    found = [
        metrics.add(measure_surface(depth, normals, depth, normals, known, known))
        for depth, normals in (box, step, step)
    ]
    assert mean_figures(found)["step_width_px"] == pytest.approx(1.6, rel=0.01)
    assert metrics.pooled()["step_width_px"] == pytest.approx(1.6, rel=0.01)
    assert metrics.pooled()["wall_bow"] < 1e-5
    nothing = SurfaceMetrics()
    nothing.add(measure_surface(*box, *box, ~known, known))
    assert nothing.pooled() == {}
