"""The losses together: the weighted sum, a single task, two processes, a stride."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle
from types import SimpleNamespace

import pytest
import torch
from loss_configs import L1_ONLY
from torch import Tensor

from mtpano_model.data.sample import Batch
from mtpano_model.training.losses import LossConfig, depth_loss
from mtpano_model.training.multi_task import multi_task_loss, with_point_map


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
