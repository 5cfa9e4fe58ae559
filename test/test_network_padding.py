"""Wrapping columns: the fast gradient is the plain one's, in every memory format."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtpano_model.network.padding import Padding, pad, wrap_columns


def plain(x: Tensor, left: int, right: int) -> Tensor:
    return torch.cat([x[..., x.shape[-1] - left :], x, x[..., :right]], -1)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("left", "right"), [(1, 1), (0, 2), (3, 0), (4, 4)])
def test_gradient_of_wrapping_is_that_of_concatenation(
    left: int, right: int, memory_format: torch.memory_format
) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 6).contiguous(memory_format=memory_format)
    weights = torch.randn(2, 3, 4, 6 + left + right).contiguous(memory_format=memory_format)
    gradients = []
    for wrap in (wrap_columns, plain):
        leaf = x.clone().requires_grad_()
        wrapped = wrap(leaf, left, right)
        assert torch.equal(wrapped, plain(x, left, right))
        (wrapped * weights).sum().backward()
        gradients.append(leaf.grad)
    assert torch.allclose(*gradients, atol=1e-6)


def test_gradient_of_padding_matches_finite_differences() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    for rows in ("replicate", "half_turn", "zeros"):
        how = Padding(rows=rows)  # type: ignore[arg-type]
        assert torch.autograd.gradcheck(lambda x, how=how: pad(x, 1, 1, 2, 1, how), (x,))
