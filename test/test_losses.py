"""Losses: hand-computed cases."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from loss_configs import L1_ONLY
from torch import Tensor

from mtpano_model.training.losses import auxiliary_loss, depth_loss, normals_loss, semseg_loss
from mtpano_model.training.sharpness import edge_loss, frequency_loss


def test_depth_l1_is_the_mean_over_valid_pixels() -> None:
    prediction = torch.tensor([[[[1.0, 2.0, 9.0, 4.0]]]])
    target = torch.tensor([[[[1.5, 4.0, float("nan"), 4.0]]]])
    valid = torch.tensor([[[[True, True, False, False]]]])
    assert depth_loss(prediction, target, valid, L1_ONLY).item() == pytest.approx((0.5 + 2) / 2)


def test_log_depth_counts_ratios_and_stays_finite_at_zero() -> None:
    config = replace(L1_ONLY, depth_kind="log_l1")
    valid = torch.ones(1, 1, 1, 2, dtype=torch.bool)
    target = torch.tensor([[[[2.0, 8.0]]]])
    twice = depth_loss(target * 2, target, valid, config)
    assert twice.item() == pytest.approx(math.log(2))
    prediction = torch.tensor([[[[0.0, -1.0]]]], requires_grad=True)
    loss = depth_loss(prediction, target, valid, config)
    loss.backward()
    assert torch.isfinite(loss)
    assert (prediction.grad < 0).all()  # towards larger depths


def test_normals_are_normalised_before_they_are_compared() -> None:
    prediction = torch.tensor([0.0, 0.0, -7.0]).reshape(1, 3, 1, 1)
    target = torch.tensor([0.0, -1.0, 0.0]).reshape(1, 3, 1, 1)
    valid = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    assert normals_loss(prediction, target, valid, L1_ONLY).item() == pytest.approx(2.0)
    assert normals_loss(prediction, prediction / 7, valid, L1_ONLY).item() == pytest.approx(0.0)


def test_cross_entropy_of_ignorance_is_log_of_the_classes() -> None:
    labels = torch.tensor([[[0, 3, 255, 2]]])
    assert semseg_loss(torch.zeros(1, 5, 1, 4), labels, L1_ONLY).item() == pytest.approx(
        math.log(5)
    )


def test_dice_of_truth_is_zero_and_of_the_opposite_one() -> None:
    config = replace(L1_ONLY, cross_entropy=0, dice=1)
    labels = torch.tensor([[[0, 1, 255, 1]]])
    truth = torch.tensor([[40.0, -40, 0, -40], [-40, 40, 0, 40]]).reshape(1, 2, 1, 4)
    assert semseg_loss(truth, labels, config).item() == pytest.approx(0, abs=1e-5)
    assert semseg_loss(-truth, labels, config).item() == pytest.approx(1, abs=1e-5)


def test_class_weights_and_confidence_weigh_pixels() -> None:
    logits, labels = torch.zeros(1, 2, 1, 2), torch.tensor([[[0, 1]]])
    weights = torch.tensor([0.5, 3.0])
    confidence = torch.tensor([[[[1.0, 0.25]]]])
    loss = semseg_loss(logits, labels, L1_ONLY, class_weights=weights, confidence=confidence)
    assert loss.item() == pytest.approx(math.log(2) * (0.5 + 3 * 0.25) / 2)


def test_gradient_loss_sees_steps_and_no_scale() -> None:
    torch.manual_seed(0)
    target = 1 + 5 * torch.rand(1, 1, 6, 16)
    valid = torch.ones_like(target, dtype=torch.bool)
    plain = replace(L1_ONLY, depth_kind="log_l1")
    with_gradient = replace(plain, depth_gradient=3.0)

    def gradient(prediction: Tensor, valid: Tensor = valid) -> float:
        losses = [depth_loss(prediction, target, valid, c) for c in (with_gradient, plain)]
        return (losses[0] - losses[1]).item() / 3.0

    assert gradient(2 * target) == pytest.approx(0, abs=1e-6)
    step = target.clone()
    step[..., :8] *= math.e  # an error of 1 that jumps in the middle and at the seam
    jumps = [2 * k / 16 for k in (1, 2, 4)]
    assert gradient(step) == pytest.approx(sum(jumps) / 3, rel=1e-5)
    hidden = valid.clone()
    hidden[..., 8:] = False
    assert gradient(step, hidden) == pytest.approx(0, abs=1e-6)


def test_auxiliary_loss_sums_channels_and_divides_by_pixels() -> None:
    valid = torch.tensor([[[[True, True, False]]]])
    loss = auxiliary_loss(torch.ones(1, 2, 1, 3), torch.zeros(1, 2, 1, 3), valid)
    assert loss.item() == pytest.approx(2.0)


def test_edge_loss_looks_at_the_step() -> None:
    """A step of height 1 between columns 8 and 9; the error is 1 within, or far from, its reach."""
    target = torch.zeros(1, 1, 16, 32)
    target[..., 9:25] = 1.0
    valid = torch.ones(1, 1, 16, 32, dtype=torch.bool)
    near = torch.zeros_like(target)
    for edge in (8, 9, 24, 25):
        near[..., edge - 3 : edge + 4] = 1.0
    assert edge_loss(target + near, target, valid).item() == pytest.approx(0.95)
    assert edge_loss(target + 1 - near, target, valid).item() == pytest.approx(0.05)


def test_the_edge_loss_does_not_see_where_the_panorama_was_cut() -> None:
    torch.manual_seed(0)
    target = torch.zeros(1, 1, 16, 32)
    target[..., 2:18] = 1.0  # an edge whose reach crosses the seam
    prediction = target + torch.rand_like(target)
    valid = torch.ones_like(target, dtype=torch.bool)
    valid[..., 6:10, 25:30] = False
    whole = edge_loss(prediction, target, valid)
    for shift in (-3, 1, 15):
        turned = [x.roll(shift, -1) for x in (prediction, target, valid)]
        assert edge_loss(*turned).item() == pytest.approx(whole.item(), rel=1e-5)


def test_edges_wrap_in_ours_and_borders_of_holes_count_in_the_release_s() -> None:
    target = torch.zeros(1, 1, 16, 32)
    target[..., :16] = 1.0  # a step at column 16 and one at the seam
    valid = torch.ones(1, 1, 16, 32, dtype=torch.bool)
    at_seam = torch.zeros_like(target)
    at_seam[..., -1] = 1.0
    inner = torch.zeros_like(target)
    inner[..., 16] = 1.0
    assert edge_loss(target + at_seam, target, valid) == edge_loss(target + inner, target, valid)
    flat = torch.full((1, 1, 16, 32), 0.5)
    valid[..., 6:10, 10:14] = False
    off = flat + 0.1
    ours = edge_loss(off, flat, valid)
    theirs = edge_loss(off, flat, valid, convention="released")
    assert ours.item() == pytest.approx(0.05 * 0.1)  # no edge anywhere
    assert theirs.item() == pytest.approx(0.1, rel=1e-4)  # both kinds of pixels exist


def test_frequency_loss_sees_only_fine_detail() -> None:
    columns = torch.arange(256) / 256 * 2 * math.pi
    valid = torch.ones(1, 1, 128, 256, dtype=torch.bool)
    flat = torch.zeros(1, 1, 128, 256)

    def magnitude(waves: int) -> float:
        wave = torch.cos(waves * columns).expand(1, 1, 128, 256)
        return (frequency_loss(wave, flat, valid) - phase(waves)).item()

    def phase(waves: int) -> Tensor:
        wave = torch.cos(waves * columns).expand(1, 1, 128, 256)
        high = high_bins()
        return torch.fft.fft2(wave)[..., high].angle().abs().mean()

    def high_bins() -> Tensor:
        rows, cols = torch.fft.fftfreq(128, 1 / 128), torch.fft.fftfreq(256, 1 / 256)
        return torch.hypot(rows[:, None], cols[None]) > 64

    # A cosine has two bins of height H W / 2 each.
    expected = 2 * (128 * 256 / 2) / int(high_bins().sum()) / 5
    assert magnitude(80) == pytest.approx(expected, rel=1e-3)
    assert magnitude(20) == pytest.approx(0, abs=1e-3)
