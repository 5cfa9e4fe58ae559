"""Changing a rendered sample equals rendering the changed world: a box room with coloured walls."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from mtpano_model.data.augment import (
    STRONG,
    AugmentConfig,
    augment,
    mirror,
    photometric,
    roll_yaw,
    rotate,
    stretch,
    wall_heading,
)
from mtpano_model.data.sample import Sample
from mtpano_model.geometry import sphere

HEIGHT, WIDTH = 64, 128
# Distances from the camera to the walls at -x, -y, -z and +x, +y, +z (y points down).
LOW, HIGH = np.array([-2.0, -1.6, -3.1]), np.array([1.3, 0.9, 2.4])


def render(
    turn: np.ndarray | None = None,
    height: int = HEIGHT,
    width: int = WIDTH,
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Sample:
    """The box room after `turn` (3x3, may mirror) moved everything in the camera's frame.

    scale: of the room, textures included, along its own axes, before `turn`.
    """
    low, high = LOW * scale, HIGH * scale
    turn = np.eye(3) if turn is None else turn
    seen = sphere.rays(height, width).astype(np.float64)
    direction = seen @ turn  # into the room's axes: turn^T v
    with np.errstate(divide="ignore"):
        distance = np.where(direction > 0, high / direction, low / direction)
    axis = distance.argmin(-1)
    depth = distance.min(-1)
    side = np.take_along_axis(direction, axis[..., None], -1)[..., 0] > 0
    normal = np.zeros((height, width, 3))
    np.put_along_axis(normal, axis[..., None], np.where(side, -1.0, 1.0)[..., None], -1)
    point = direction * depth[..., None] / scale
    image = np.clip(127 + 40 * np.sin(2 * point) + 10 * normal, 0, 255).astype(np.uint8)
    return Sample(
        name="box",
        image=torch.from_numpy(image).permute(2, 0, 1).contiguous(),
        depth=torch.from_numpy(depth).float()[None],
        depth_valid=torch.from_numpy(depth < 3.0)[None],
        normals=torch.from_numpy(normal @ turn.T).float().permute(2, 0, 1).contiguous(),
        normals_valid=torch.ones(1, height, width, dtype=torch.bool),
        semseg=torch.from_numpy((axis * 2 + side).astype(np.uint8)),
        confidence=torch.from_numpy(depth / 4).float()[None],
    )


def assert_same(a: Sample, b: Sample) -> None:
    torch.testing.assert_close(a.depth, b.depth, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(a.normals, b.normals, rtol=0, atol=1e-5)
    torch.testing.assert_close(a.confidence, b.confidence, rtol=1e-5, atol=1e-5)
    assert (a.image.int() - b.image.int()).abs().max() <= 1
    for key in ("depth_valid", "normals_valid", "semseg"):
        assert torch.equal(getattr(a, key), getattr(b, key)), key


def assert_resampled(made: Sample, true: Sample, depth: float, color: float) -> None:
    """As good as resampling can be: relative depth, mean change of a colour.

    The nearest pixel's value is off by at most half a pixel's change, except across edges.
    """
    same_wall = made.semseg == true.semseg
    assert same_wall.float().mean() > 0.98
    relative = ((made.depth - true.depth).abs() / true.depth)[0][same_wall]
    assert relative.max() < depth
    assert relative.mean() < 0.004
    error = (made.normals - true.normals).norm(dim=0)[same_wall]
    assert error.max() < 1e-5
    assert (made.image.int() - true.image.int()).abs().float().mean() < color


@pytest.mark.parametrize("shift", [0, 1, 37, WIDTH // 2, -5, WIDTH + 3])
def test_rolling_columns_is_turning_the_room(shift: int) -> None:
    turn = sphere.yaw_matrix(sphere.yaw_of_column_shift(shift, WIDTH))
    assert_same(roll_yaw(render(), shift), render(turn))


def test_mirror_is_the_mirrored_room() -> None:
    assert_same(mirror(render()), render(np.diag([-1.0, 1.0, 1.0])))


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"), [(0, 7, 0), (0, 0, -6), (20, 5, 5), (-170, -40, 30)]
)
def test_tilting_the_picture_is_tilting_the_camera(yaw: float, pitch: float, roll: float) -> None:
    yaw, pitch, roll = np.radians([yaw, pitch, roll])
    turn = sphere.yaw_matrix(yaw) @ sphere.pitch_matrix(pitch) @ sphere.roll_matrix(roll)
    height, width = 256, 512
    made, true = rotate(render(height=height, width=width), turn), render(turn, height, width)
    assert_resampled(made, true, depth=0.03, color=0.6)
    assert (made.depth_valid == true.depth_valid).float().mean() > 0.98


@pytest.mark.parametrize("yaw", [0, 20, -44])
def test_stretching_the_picture_is_rendering_the_longer_room(yaw: float) -> None:
    turn = sphere.yaw_matrix(np.radians(yaw))
    height, width = 256, 512
    room = render(turn, height, width)
    made = stretch(room, along=1.25, across=0.8)
    true = render(turn, height, width, scale=(0.8, 1.0, 1.25))
    assert np.degrees(wall_heading(room)) == pytest.approx(yaw, abs=1e-3)
    assert_resampled(made, true, depth=0.05, color=0.7)


def test_a_slanted_face_keeps_its_right_angle_to_its_own_points() -> None:
    # A plane through three of its points, moved by the stretch, has the stretched normal.
    ramp = render(sphere.roll_matrix(0.4) @ sphere.pitch_matrix(0.3), 256, 512)
    made = stretch(ramp, along=1.3, across=0.75)
    points = made.depth * torch.from_numpy(sphere.rays(256, 512).copy()).permute(2, 0, 1)
    for face in range(6):
        inside = (made.semseg == face).nonzero()[::97]
        normal = made.normals[:, made.semseg == face].mean(1)
        place = points[:, inside[:, 0], inside[:, 1]]
        offset = normal @ place
        assert offset.std() < 0.01 * offset.abs().mean()


def test_a_full_turn_by_rotation_matches_the_roll() -> None:
    shift = 40
    turn = sphere.yaw_matrix(sphere.yaw_of_column_shift(shift, WIDTH))
    assert_same(rotate(render(), turn), roll_yaw(render(), shift))


def test_default_config_changes_nothing() -> None:
    sample = render()
    same = augment(sample, AugmentConfig(), np.random.default_rng(0))
    assert torch.equal(same.image, sample.image)
    assert_same(same, sample)


def test_augmentation_follows_from_the_seed() -> None:
    sample = render()
    first, again, other = (augment(sample, STRONG, np.random.default_rng(s)) for s in (3, 3, 4))
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.depth, again.depth)
    assert not torch.equal(first.image, other.image)


def test_metres_and_unit_vectors_survive_everything() -> None:
    sample = render()
    for seed in range(8):
        changed = augment(sample, replace(STRONG, stretch=0.0), np.random.default_rng(seed))
        torch.testing.assert_close(changed.normals.norm(dim=0), torch.ones(HEIGHT, WIDTH))
        assert changed.depth.min() >= sample.depth.min()
        assert changed.depth.max() <= sample.depth.max()
        assert changed.image.dtype == torch.uint8
        # A wall keeps facing the camera: normal . ray < 0 everywhere in a convex room.
        rays = torch.from_numpy(sphere.rays(HEIGHT, WIDTH).copy()).permute(2, 0, 1)
        assert ((changed.normals * rays).sum(0) < 0.05).all()


def test_exposure_is_a_gain_and_saturation_zero_is_grey() -> None:
    grey = np.full((8, 16, 3), 60, np.uint8)
    stops = {
        round(float(photometric(grey, AugmentConfig(exposure=1.0), rng).mean()))
        for rng in map(np.random.default_rng, range(50))
    }
    assert min(stops) >= 30
    assert max(stops) <= 120
    assert max(stops) - min(stops) > 50


def test_blur_crosses_the_seam() -> None:
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:, 0] = 255
    blurred = photometric(
        picture, replace(AugmentConfig(), blur=1.0, blur_sigma=3.0), np.random.default_rng(0)
    )
    np.testing.assert_allclose(blurred[8, 1].astype(int), blurred[8, -1].astype(int), atol=1)
    assert blurred[8, -1, 0] > 0


def test_a_stitch_is_a_step_at_one_column_that_fades_and_wraps() -> None:
    grey = np.full((16, 64, 3), 100, np.uint8)
    config = AugmentConfig(stitch=1.0, stitch_step=20.0)
    at = set()
    for seed in range(60):
        picture = photometric(grey, config, np.random.default_rng(seed)).astype(int)
        assert np.abs(picture - 100).max() <= 20
        steps = np.abs(np.roll(picture, -1, 1) - picture).sum((0, 2))  # by column
        seam = int(steps.argmax())
        assert steps[seam] > 1.5 * np.sort(steps)[-2]
        assert (picture == 100).all((0, 2)).sum() >= 64 - 2 * 8  # columns left alone
        at.add(seam)
    assert len(at) > 30
    assert {0, 63} & at


def test_jpeg_keeps_the_channel_order() -> None:
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[..., 0] = 200
    once = photometric(picture, AugmentConfig(jpeg=1.0), np.random.default_rng(0))
    assert once[..., 0].mean() > 150
    assert once[..., 2].mean() < 50
    assert cv2.imencode(".jpg", once)[0]
