"""Convolutions and up-sampling on the sphere.

Columns wrap, and rows continue as `Padding.rows` says. Columns are wrapped by concatenation, which
every inference engine supports (OpenVINO refuses Pad's `wrap` mode).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Padding:
    """How a map continues past its border.

    columns: "circular" wraps around the seam; "zeros" is what the released weights expect.
    rows: "replicate" repeats the polar row; "half_turn" continues with the rows half a turn away,
        as the sphere does; "zeros" costs no time in any engine.
    """

    columns: Literal["circular", "zeros"] = "circular"
    rows: Literal["replicate", "half_turn", "zeros"] = "replicate"


def pad(x: Tensor, top: int, bottom: int, left: int, right: int, how: Padding) -> Tensor:
    """Pad x [B, C, H, W] by numbers of rows and columns."""
    if top or bottom:
        x = _pad_rows(x, top, bottom, how)
    if left or right:
        if how.columns == "circular":
            x = wrap_columns(x, left, right)
        else:
            x = F.pad(x, (left, right, 0, 0))
    return x


def wrap_columns(x: Tensor, left: int, right: int) -> Tensor:
    """Repeat the last `left` columns of [..., W] in front and the first `right` ones behind."""
    if x.requires_grad and torch.is_grad_enabled() and not torch.compiler.is_compiling():
        return _WrapColumns.apply(x, left, right)  # type: ignore[no-any-return]
    return _wrapped(x, left, right)


def _wrapped(x: Tensor, left: int, right: int) -> Tensor:
    return torch.cat([x[..., x.shape[-1] - left :], x, x[..., :right]], -1)


class _WrapColumns(torch.autograd.Function):
    """`wrap_columns` for training: its gradient in one pass over the map instead of six."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, left: int, right: int) -> Tensor:
        ctx.left, ctx.right = left, right
        return _wrapped(x, left, right)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        left, right = ctx.left, ctx.right
        width = gradient.shape[-1] - left - right
        channels_last = gradient.dim() == 4 and gradient.is_contiguous(
            memory_format=torch.channels_last
        )
        kept = gradient[..., left : left + width].clone(
            memory_format=torch.channels_last if channels_last else torch.contiguous_format
        )
        if left:
            kept[..., width - left :] += gradient[..., :left]
        if right:
            kept[..., :right] += gradient[..., left + width :]
        return kept, None, None


def _pad_rows(x: Tensor, top: int, bottom: int, how: Padding) -> Tensor:
    if how.rows == "zeros":
        return F.pad(x, (0, 0, top, bottom))
    if how.rows == "replicate":
        return F.pad(x, (0, 0, top, bottom), mode="replicate")
    half = x.shape[-1] // 2
    turned = torch.cat([x[..., half:], x[..., :half]], -1)
    height = x.shape[2]
    above = [turned[:, :, i : i + 1] for i in reversed(range(top))]
    below = [turned[:, :, i : i + 1] for i in range(height - 1, height - 1 - bottom, -1)]
    return torch.cat([*above, x, *below], 2)


class SphereConv2d(nn.Conv2d):
    """A "same" convolution on the sphere; weights and names are those of nn.Conv2d.

    At stride 1 the kernel is centred. At stride 2 an odd kernel pads one row and column less in
    front than behind (TensorFlow's SAME on even sizes, which EfficientNet-Lite was trained with),
    unless `centred` asks for the symmetric padding that PyTorch models use.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel_size: int | tuple[int, int] = 3,
        *,
        how: Padding,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
        centred: bool = True,
    ):
        super().__init__(
            channels_in, channels_out, kernel_size, stride=stride, groups=groups, bias=bias
        )
        self.how = how
        rows, columns = (self._split(k, stride, centred) for k in self.kernel_size)
        self._pads = (*rows, *columns)  # top, bottom, left, right

    @staticmethod
    def _split(kernel: int, stride: int, centred: bool) -> tuple[int, int]:
        total = kernel - 1 if centred else max(kernel - stride, 0)
        return total // 2, total - total // 2

    def forward(self, x: Tensor) -> Tensor:
        top, bottom, left, right = self._pads
        rows = 0
        if self.how.rows == "zeros" and top == bottom:  # the convolution itself pads rows for free
            rows, top, bottom = top, 0, 0
        return self.padded(pad(x, top, bottom, left, right, self.how), rows)

    def padded(self, x: Tensor, rows: int = 0) -> Tensor:
        """The convolution of a map that already continues past its border (but for `rows`)."""
        return F.conv2d(
            x, self.weight, self.bias, self.stride, (rows, 0), self.dilation, self.groups
        )


def upsample(x: Tensor, factor: int, how: Padding, *, align_corners: bool = False) -> Tensor:
    """Bilinear up-sampling [B, C, H, W] -> [B, C, factor H, factor W].

    Half-pixel centres on columns wrapped by one per side and then cropped: the only form that
    commutes with rolling the panorama. `align_corners` and zero-padded columns reproduce the
    release.
    """
    if factor == 1:
        return x
    if align_corners or how.columns == "zeros":
        return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=align_corners)
    x = wrap_columns(x, 1, 1)
    x = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
    return x[..., factor:-factor]
