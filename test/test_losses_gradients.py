"""Gradients of the losses: finite differences, empty masks."""

from __future__ import annotations

import pytest
import torch

from mtpano_model.training.losses import (
    LossConfig,
    auxiliary_loss,
    depth_loss,
    normals_loss,
    semseg_loss,
)
from mtpano_model.training.sharpness import frequency_loss


def random_case(channels: int, height: int = 8, width: int = 16):
    generator = torch.Generator().manual_seed(0)
    prediction = torch.randn(2, channels, height, width, generator=generator, dtype=torch.float64)
    target = torch.randn(2, channels, height, width, generator=generator, dtype=torch.float64)
    valid = torch.rand(2, 1, height, width, generator=generator) > 0.3
    return prediction.requires_grad_(), target, valid


@pytest.mark.parametrize("kind", ["l1", "log_l1"])
def test_depth_gradient_matches_finite_differences(kind: str) -> None:
    prediction, target, valid = random_case(1, 4, 8)
    config = LossConfig(depth_kind=kind)  # type: ignore[arg-type]
    positive = (prediction.detach().abs() + 0.2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p: depth_loss(p, target.abs() + 0.3, valid, config), positive
    )


def test_normals_and_semseg_gradients_match_finite_differences() -> None:
    prediction, target, valid = random_case(3, 4, 8)
    unit = torch.nn.functional.normalize(target, dim=1)
    assert torch.autograd.gradcheck(lambda p: normals_loss(p, unit, valid), prediction)
    labels = torch.where(valid[:, 0], torch.arange(8) % 3, 255)
    assert torch.autograd.gradcheck(lambda p: semseg_loss(p, labels), prediction)


def test_frequency_gradient_matches_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    prediction = torch.randn(1, 1, 2, 160, generator=generator, dtype=torch.float64)
    target = torch.randn(1, 1, 2, 160, generator=generator, dtype=torch.float64)
    valid = torch.rand(1, 1, 2, 160, generator=generator) > 0.2
    loss = frequency_loss(prediction.requires_grad_(), target, valid)
    (gradient,) = torch.autograd.grad(loss, prediction)
    step = torch.randn(prediction.shape, generator=generator, dtype=torch.float64) * 1e-3
    with torch.no_grad():
        change = frequency_loss(prediction + step, target, valid)
        change -= frequency_loss(prediction - step, target, valid)
    # the loss computes in float32, like the release
    assert change.item() / 2 == pytest.approx((gradient * step).sum().item(), rel=2e-2)


@pytest.mark.parametrize("convention", ["ours", "released"])
def test_empty_masks_give_no_loss_and_no_gradient(convention: str) -> None:
    config = LossConfig(convention=convention)  # type: ignore[arg-type]
    empty = torch.zeros(2, 1, 128, 256, dtype=torch.bool)
    nothing = torch.full((2, 3, 128, 256), float("nan"))
    prediction = torch.randn(2, 3, 128, 256, requires_grad=True)
    depth = prediction[:, :1]
    losses = [
        depth_loss(depth, nothing[:, :1], empty, config),
        normals_loss(prediction, nothing, empty, config),
        auxiliary_loss(prediction, nothing, empty),
        semseg_loss(prediction, torch.full((2, 128, 256), 255), config),
    ]
    for loss in losses:
        assert loss.item() == 0
    torch.stack(losses).sum().backward()
    assert torch.equal(prediction.grad, torch.zeros_like(prediction))
