"""Losses: the authors' values, hand-computed cases, finite differences, empty masks."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from mtpano_model.data.sample import Batch
from mtpano_model.training.losses import (
    LossConfig,
    auxiliary_loss,
    depth_loss,
    edge_loss,
    frequency_loss,
    multi_task_loss,
    normals_loss,
    semseg_loss,
    with_point_map,
)

RELEASED = LossConfig(convention="released")
L1_ONLY = LossConfig(depth_edge=0, depth_frequency=0, normals_edge=0, normals_frequency=0, dice=0)
MAIN = ("semseg", "depth", "normals")


# --- against the release -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def release(shared: Path) -> tuple[dict[str, Tensor], dict]:
    folder = shared / "reference" / "losses_a"
    tensors = load_file(folder / "tensors.safetensors")
    tensors = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    return tensors, json.loads((folder / "values.json").read_text())


def test_every_term_has_the_release_s_value(release) -> None:
    tensors, values = release
    valid = tensors["valid"]
    batch = Batch(
        names=["a", "b"],
        image=tensors["image_uint8"],
        depth=tensors["gt.depth"],
        depth_valid=valid,
        normals=tensors["gt.normals"],
        normals_valid=valid,
        semseg=tensors["gt.semseg"][:, 0],
        confidence=None,
        auxiliary={
            "grad": tensors["auxiliary_target.grad"],
            "edf": tensors["auxiliary_target.sdf"],
            "point": tensors["auxiliary_target.point"],
        },
    )
    predictions = SimpleNamespace(
        final={name: tensors[f"pred.{name}"] for name in MAIN},
        initial={name: tensors[f"initial.{name}"] for name in MAIN},
        auxiliary={
            "grad": tensors["auxiliary.grad"],
            "edf": tensors["auxiliary.sdf"],
            "point": tensors["auxiliary.point"],
        },
    )
    ours = multi_task_loss(predictions, batch, RELEASED)
    names = {f"aux_{name}": f"initial.{name}" for name in MAIN}
    names |= {"ext_sdf": "auxiliary.edf", "ext_grad": "auxiliary.grad"}
    names |= {"ext_point": "auxiliary.point"}
    assert len(values["losses"]) == 10
    for name, value in values["losses"].items():
        assert ours[names.get(name, name)].item() == pytest.approx(value, rel=1e-4), name


def test_parts_have_the_release_s_values(release) -> None:
    tensors, values = release
    valid = tensors["valid"]
    depth = tensors["pred.depth"], tensors["gt.depth"], valid
    normals = tensors["pred.normals"], tensors["gt.normals"], valid
    semseg = tensors["pred.semseg"], tensors["gt.semseg"][:, 0]
    no_depth_edge, no_normals_edge = (
        replace(RELEASED, depth_edge=0),
        replace(RELEASED, normals_edge=0),
    )
    ours = {
        "depth.l1_only": depth_loss(*depth, replace(no_depth_edge, depth_frequency=0)),
        "depth.l1_plus_edge": depth_loss(*depth, replace(RELEASED, depth_frequency=0)),
        "depth.l1_plus_freq": depth_loss(*depth, no_depth_edge),
        "normals.l1_only": normals_loss(*normals, replace(no_normals_edge, normals_frequency=0)),
        "normals.l1_plus_edge": normals_loss(*normals, replace(RELEASED, normals_frequency=0)),
        "normals.l1_plus_freq": normals_loss(*normals, no_normals_edge),
        "semseg.ce_only": semseg_loss(*semseg, replace(RELEASED, dice=0)),
        "semseg.dice_only": semseg_loss(*semseg, replace(RELEASED, cross_entropy=0)),
    }
    assert ours.keys() == values["parts"].keys()
    for name, value in values["parts"].items():
        assert ours[name].item() == pytest.approx(value, rel=1e-4), name


# --- by hand -------------------------------------------------------------------------------------


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


# --- gradients -----------------------------------------------------------------------------------


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


# --- everything together -------------------------------------------------------------------------


def some_batch(size: int = 2, height: int = 16, width: int = 32) -> Batch:
    generator = torch.Generator().manual_seed(1)
    valid = torch.rand(size, 1, height, width, generator=generator) > 0.4
    batch = Batch(
        names=[str(i) for i in range(size)],
        image=torch.zeros(size, 3, height, width, dtype=torch.uint8),
        depth=torch.rand(size, 1, height, width, generator=generator) * 5 + 0.2,
        depth_valid=valid,
        normals=torch.nn.functional.normalize(
            torch.randn(size, 3, height, width, generator=generator), dim=1
        ),
        normals_valid=valid.flip(-1),
        semseg=torch.randint(0, 5, (size, height, width), generator=generator, dtype=torch.uint8),
        confidence=None,
        auxiliary={
            "grad": torch.randn(size, 2, height, width, generator=generator),
            "edf": torch.rand(size, 1, height, width, generator=generator),
        },
    )
    return with_point_map(batch)


def some_predictions(size: int = 2, height: int = 16, width: int = 32) -> SimpleNamespace:
    generator = torch.Generator().manual_seed(2)

    def maps(**channels: int) -> dict[str, Tensor]:
        return {
            name: torch.randn(size, count, height, width, generator=generator).requires_grad_()
            for name, count in channels.items()
        }

    return SimpleNamespace(
        final=maps(semseg=5, depth=1, normals=3),
        initial=maps(semseg=5, depth=1, normals=3),
        auxiliary=maps(grad=2, edf=1, point=3),
    )


def test_total_is_the_weighted_sum_and_depth_saturates() -> None:
    predictions, batch = some_predictions(), some_batch()
    config = LossConfig(semseg=2.0, initial=0.5, auxiliary=0.1)
    terms = multi_task_loss(predictions, batch, config)
    expected = 2 * terms["semseg"] + terms["depth"] + terms["normals"]
    expected += 0.5 * (2 * terms["initial.semseg"] + terms["initial.depth"])
    expected += 0.5 * terms["initial.normals"]
    expected += 0.1 * sum(terms[f"auxiliary.{name}"] for name in ("grad", "edf", "point"))
    torch.testing.assert_close(terms["total"], expected)
    predictions.final["depth"] = predictions.final["depth"] + 1000
    assert multi_task_loss(predictions, batch, config)["depth"] == 10
    assert multi_task_loss(predictions, batch, config, clamp=False)["depth"] > 900


def test_a_network_of_one_task_needs_no_other_config() -> None:
    predictions = some_predictions()
    alone = SimpleNamespace(
        final={"depth": predictions.final["depth"]},
        initial={"depth": predictions.initial["depth"]},
        auxiliary={},
    )
    assert set(multi_task_loss(alone, some_batch())) == {"depth", "initial.depth", "total"}


def test_two_processes_make_the_loss_of_one() -> None:
    """Counts shared as their mean over processes: the mean of the losses is that of the whole."""
    predictions, batch = some_predictions(4), some_batch(4)
    batch.depth_valid[:2] &= torch.rand(2, 1, 16, 32) > 0.8  # very unequal counts

    def part(rows: slice):
        cut = {
            field: {k: v[rows] for k, v in getattr(predictions, field).items()}
            for field in ("final", "initial", "auxiliary")
        }
        return SimpleNamespace(**cut), Batch(
            **{
                key: {k: v[rows] for k, v in value.items()}
                if isinstance(value, dict)
                else value
                if value is None
                else value[rows]
                for key, value in vars(batch).items()
            }
        )

    parts = [part(slice(0, 2)), part(slice(2, 4))]
    counts: list[list[Tensor]] = []
    for own_predictions, own_batch in parts:
        seen: list[Tensor] = []
        multi_task_loss(
            own_predictions, own_batch, reduce_count=lambda n, seen=seen: (seen.append(n), n)[1]
        )
        counts.append(seen)
    means = [torch.stack(pair).mean(0) for pair in zip(*counts, strict=True)]
    whole = multi_task_loss(predictions, batch)
    total = 0
    for own_predictions, own_batch in parts:
        replay = cycle(means)
        total = (
            total
            + multi_task_loss(
                own_predictions, own_batch, reduce_count=lambda _, replay=replay: next(replay)
            )["total"]
            / 2
        )
    assert total.item() == pytest.approx(whole["total"].item(), rel=1e-5)


def test_a_stride_looks_at_every_nth_pixel_of_the_initial_predictions() -> None:
    predictions, batch = some_predictions(), some_batch()
    config = replace(L1_ONLY, initial_stride=4)
    loss = multi_task_loss(predictions, batch, config)["initial.depth"]
    rows = slice(2, None, 4)
    expected = depth_loss(
        predictions.initial["depth"][..., rows, rows],
        batch.depth[..., rows, rows],
        batch.depth_valid[..., rows, rows],
        L1_ONLY,
    )
    torch.testing.assert_close(loss, expected)
