"""Depth against the true normals, and depth's own uncertainty."""

from __future__ import annotations

import math

import pytest
import torch
from box_room import cast, panorama_rays

from mtpano_model.training.beside_depth import uncertainty_loss
from mtpano_model.training.planes import plane_loss

HEIGHT = 64


def room() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    depth, normal, _ = cast(panorama_rays(HEIGHT).double())
    valid = torch.ones(1, 1, HEIGHT, 2 * HEIGHT, dtype=torch.bool)
    return depth[None, None].log(), normal[None].double(), valid


def test_truth_costs_nothing_at_any_scale() -> None:
    log_depth, normals, valid = room()
    for scale in (1.0, 3.0):
        loss = plane_loss(log_depth + math.log(scale), log_depth, normals, valid)
        assert float(loss) < 1e-9


def test_it_is_the_angle_by_which_a_wall_is_turned() -> None:
    """A sphere about the camera stands at right angles to every ray; a wall seen at angle a not."""
    log_depth, normals, valid = room()
    rays = panorama_rays(HEIGHT)[None].double()
    cosine = -(normals * rays).sum(1)
    loss = plane_loss(torch.zeros_like(log_depth), log_depth, normals, valid)
    # Small steps turn a surface by sin(a) cos(a) along the direction of the slope.
    mean = float((cosine * (1 - cosine**2).sqrt()).mean())
    assert 0.3 * mean < float(loss) < 1.1 * mean


def test_a_wall_that_bows_costs_more_than_one_that_does_not() -> None:
    log_depth, normals, valid = room()
    wave = (torch.arange(2 * HEIGHT).double() * 4 * math.pi / HEIGHT).sin()
    costs = [
        float(plane_loss(log_depth + bow * wave, log_depth, normals, valid)) for bow in (0.01, 0.03)
    ]
    assert 0 < costs[0] < costs[1]


def test_steps_and_invalid_pixels_do_not_count() -> None:
    log_depth, normals, valid = room()
    wrong = log_depth.clone()
    wrong[..., 20:30, 40:60] += 1.0
    valid[..., 20:30, 40:60] = False
    assert float(plane_loss(wrong, log_depth, normals, valid)) < 1e-9
    assert float(plane_loss(wrong, log_depth, normals, torch.zeros_like(valid))) == 0


def test_gradients_are_those_of_finite_differences() -> None:
    torch.manual_seed(0)
    log_depth, normals, valid = (x[..., ::4, ::4] for x in room())
    noisy = (log_depth + 0.1 * torch.randn_like(log_depth)).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: plane_loss(x, log_depth, normals, valid), (noisy,), nondet_tol=1e-9
    )


def test_uncertainty_is_least_where_the_scale_is_the_mean_error() -> None:
    error = torch.randn(1, 1, 8, 16).abs()
    valid = torch.ones(1, 1, 8, 16, dtype=torch.bool)
    best = error.mean().log()
    costs = [
        float(uncertainty_loss(torch.full_like(error, float(best) + off), error, valid))
        for off in (-0.3, 0.0, 0.3)
    ]
    assert costs[1] < min(costs[0], costs[2])


def test_depth_does_not_learn_from_its_uncertainty() -> None:
    error = torch.randn(1, 1, 4, 8).requires_grad_()
    scale = torch.zeros(1, 1, 4, 8).requires_grad_()
    valid = torch.ones(1, 1, 4, 8, dtype=torch.bool)
    uncertainty_loss(scale, error, valid).backward()
    assert error.grad is None or float(error.grad.abs().max()) == pytest.approx(0)
    assert float(scale.grad.abs().max()) > 0
