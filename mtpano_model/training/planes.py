"""The loss `plane`: a plane in the ground truth must be a plane in the prediction.

Along a plane with normal n the range obeys log d(q) - log d(p) = log(n.r_p / n.r_q) for rays p, q.
A wall that bows by a few per cent of its distance has a small L1 error at every pixel. This loss
measures the bow as an angle.
"""

from __future__ import annotations

import math

from torch import Tensor

from mtpano_model.geometry.sphere_rays import rays_like
from mtpano_model.training.masking import ReduceCount, masked_mean, one_process

# Pixels apart at 512 columns: neighbours show what is rough, those far apart what bows.
_STEPS = (1, 2, 4, 8, 16, 32)
_COLUMNS = 512
# What is seen at less than 3 degrees says nothing of a plane.
_GRAZING = 0.05
# Two pixels lie on one plane where truth deviates from the formula by less than the millimetres
# and the eight bits that it is stored in explain.
_TOLERANCE, _TOLERANCE_PER_RADIAN = 0.003, 0.03
_PARALLEL = 0.995


def plane_loss(
    log_depth: Tensor,
    true_log_depth: Tensor,
    true_normals: Tensor,
    valid: Tensor,
    *,
    reduce_count: ReduceCount = one_process,
) -> Tensor:
    """Mean angle in radians by which the predicted surface is turned along true planes.

    log_depth, true_log_depth, valid (of depth and normals): [B, 1, H, W]; true_normals:
    [B, 3, H, W], optical frame. Averaged over pairs of pixels along rows and columns at several
    distances; columns wrap. Pairs that do not lie on one plane do not count.
    """
    height, width = log_depth.shape[-2:]
    rays = rays_like(log_depth, height, width)
    facing = -(true_normals * rays).sum(1, keepdim=True)
    seen = valid & (facing > _GRAZING)
    loss = log_depth.new_zeros(())
    steps = [step for step in (s * width // _COLUMNS for s in _STEPS) if 0 < step < height]
    for step in steps:
        for axis in (-1, -2):
            rows = slice(None) if axis == -1 else slice(height - step)  # below, nothing follows

            def partner(x: Tensor, step: int = step, axis: int = axis) -> Tensor:
                return x.roll(-step, axis)

            along = -(true_normals * partner(rays)).sum(1, keepdim=True)  # n of p, ray of q
            ratio = (facing / along.clamp(min=_GRAZING)).clamp(min=_GRAZING).log()
            angle = 2 * ((rays - partner(rays)).norm(dim=1, keepdim=True) / 2).asin()
            parallel = (true_normals * partner(true_normals)).sum(1, keepdim=True) > _PARALLEL
            off = (partner(true_log_depth) - true_log_depth - ratio).abs()
            flat = seen & partner(seen) & parallel & (along > _GRAZING)
            flat &= angle > step * math.pi / height / 2  # rows near a pole are points
            flat &= off < _TOLERANCE + _TOLERANCE_PER_RADIAN * angle
            turned = (partner(log_depth) - log_depth - ratio).abs() / angle * facing * along
            loss = loss + masked_mean(turned[..., rows, :], flat[..., rows, :], reduce_count)
    return loss / max(2 * len(steps), 1)
