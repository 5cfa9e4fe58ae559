"""Edge, frequency and gradient losses, which keep borders sharp where L1 alone blurs them."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mtpano_model.network.padding import wrap_columns
from mtpano_model.training.masking import ReduceCount, masked_mean, one_process

Convention = Literal["ours", "released"]

_SOBEL_X = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
_EDGE_THRESHOLD = 0.55
_EDGE_DILATION = 7
_EDGE_SHARE = 0.95
_LOW_FREQUENCY_BINS = 64
_RELEASED_FILL = 255.0
_GRADIENT_STEPS = (1, 2, 4)


def sharpness(
    prediction: Tensor,
    target: Tensor,
    valid: Tensor,
    weights: tuple[float, float],
    convention: Convention,
    reduce_count: ReduceCount,
) -> Tensor:
    """Weighted Edge + Freq of maps [B, C, H, W]; a loss of weight 0 is not computed."""
    edge, frequency = weights
    loss = prediction.new_zeros(())
    if edge:
        loss = loss + edge * edge_loss(
            prediction, target, valid, convention=convention, reduce_count=reduce_count
        )
    if frequency:
        loss = loss + frequency * frequency_loss(prediction, target, valid)
    return loss


def edge_loss(
    prediction: Tensor,
    target: Tensor,
    valid: Tensor,
    *,
    convention: Convention = "ours",
    reduce_count: ReduceCount = one_process,
) -> Tensor:
    """0.95 L1 near the target's edges + 0.05 L1 elsewhere, of the means over channels.

    An edge is where the Sobel magnitude of the target's mean reaches 0.55, dilated 7x7. Ours wraps
    columns and looks only at fully valid neighbourhoods; "released" pads with zeros after filling
    invalid pixels with 255.
    """
    mean = torch.where(valid, target, 0).mean(1, keepdim=True)
    with torch.no_grad():
        released = convention == "released"
        filled = torch.where(valid, mean, _RELEASED_FILL) if released else mean
        edge = _sobel_magnitude(filled, wrap=not released) >= _EDGE_THRESHOLD
        if not released:
            edge &= _all_neighbours(valid)
        near = _dilated(edge, wrap=not released)
    error = (prediction.mean(1, keepdim=True) - mean).abs()
    on_edge = masked_mean(error, near & valid, reduce_count)
    elsewhere = masked_mean(error, ~near & valid, reduce_count)
    return _EDGE_SHARE * on_edge + (1 - _EDGE_SHARE) * elsewhere


def _sobel_magnitude(x: Tensor, *, wrap: bool) -> Tensor:
    kernel = x.new_tensor(_SOBEL_X)
    kernels = torch.stack([kernel, kernel.T])[:, None]
    if wrap:
        x = wrap_columns(x, 1, 1)
        x = F.pad(x, (0, 0, 1, 1), mode="replicate")
    else:
        x = F.pad(x, (1, 1, 1, 1))
    across, down = F.conv2d(x, kernels).split(1, 1)
    return torch.hypot(across, down)


def _all_neighbours(valid: Tensor) -> Tensor:
    """Where the whole 3x3 neighbourhood is valid, across the seam."""
    invalid = wrap_columns((~valid).float(), 1, 1)
    return F.max_pool2d(invalid, 3, 1, (1, 0)) == 0


def _dilated(edge: Tensor, *, wrap: bool) -> Tensor:
    """Where an edge lies within the 7x7 neighbourhood."""
    reach = _EDGE_DILATION // 2
    marks = wrap_columns(edge.float(), reach, reach) if wrap else edge.float()
    return F.max_pool2d(marks, _EDGE_DILATION, 1, (reach, 0 if wrap else reach)) > 0


def frequency_loss(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """L1(magnitude) / 5 + L1(phase) over frequencies more than 64 bins from zero.

    Phases in (-pi, pi] are subtracted without wrapping, as released. Maps too small to have such
    frequencies give 0.
    """
    height, width = target.shape[-2:]
    rows = torch.fft.fftfreq(height, 1 / height, device=target.device)[:, None]
    columns = torch.fft.fftfreq(width, 1 / width, device=target.device)[None]
    high = torch.hypot(rows, columns) > _LOW_FREQUENCY_BINS
    if not high.any():
        return (prediction * 0).sum()
    ours = torch.fft.fft2(torch.where(valid, prediction, 0).float())[..., high]
    theirs = torch.fft.fft2(torch.where(valid, target, 0).float())[..., high]
    magnitude = (ours.abs() - theirs.abs()).abs().mean()
    phase = (ours.angle() - theirs.angle()).abs().mean()
    return magnitude / 5 + phase


def gradient_loss(
    error: Tensor, valid: Tensor, *, reduce_count: ReduceCount = one_process
) -> Tensor:
    """L1 between the differences of neighbours 1, 2 and 4 pixels apart, mean over the three.

    error: prediction - target, [B, 1, H, W]. Of log depths it does not see the scale, only shapes
    and steps (the gradient matching of MiDaS, arXiv 1907.01341, eq. 11, with steps in place of its
    image pyramid). Columns wrap, so a step at the seam counts like any other.
    """
    error = torch.where(valid, error, 0)
    loss = error.new_zeros(())
    for step in _GRADIENT_STEPS:
        across = error - error.roll(-step, -1)
        loss = loss + masked_mean(across.abs(), valid & valid.roll(-step, -1), reduce_count)
        down = error[..., step:, :] - error[..., :-step, :]
        both = valid[..., step:, :] & valid[..., :-step, :]
        loss = loss + masked_mean(down.abs(), both, reduce_count)
    return loss / len(_GRADIENT_STEPS)
