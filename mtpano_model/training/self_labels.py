"""Labels for tasks without labels: the network's own predictions from before the training.

A robot's teachers may label classes but no depth. Trained on classes alone, the network would
forget depth; trained on its own first predictions as well, it does not.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from mtpano_model.classes import IGNORE
from mtpano_model.data.sample import Batch
from mtpano_model.network import PDBridgeNet


class SelfLabels:
    """A frozen copy of a network on a device, which fills in missing labels."""

    def __init__(self, net: PDBridgeNet, device: torch.device):
        self.net = copy.deepcopy(net).to(device).eval().requires_grad_(False)

    @torch.no_grad()
    def fill(self, batch: Batch) -> Batch:
        """The batch, with predictions as labels for each task that a panorama has no labels of."""
        no_depth = _unlabelled(batch.depth_valid)
        no_normals = _unlabelled(batch.normals_valid)
        no_classes = _unlabelled((batch.semseg != IGNORE)[:, None])
        if not (no_depth.any() or no_normals.any() or no_classes.any()):
            return batch
        said = self.net(batch.image.float()).final
        filled = batch
        if "depth" in said:
            filled = replace(
                filled,
                depth=torch.where(no_depth, said["depth"], batch.depth),
                depth_valid=batch.depth_valid | no_depth,
            )
        if "normals" in said:
            normals = F.normalize(said["normals"], dim=1)
            filled = replace(
                filled,
                normals=torch.where(no_normals, normals, batch.normals),
                normals_valid=batch.normals_valid | no_normals,
            )
        if "semseg" in said:
            probability, label = said["semseg"].softmax(1).max(1, keepdim=True)
            trust = torch.ones_like(probability) if batch.confidence is None else batch.confidence
            filled = replace(
                filled,
                semseg=torch.where(no_classes[:, 0], label[:, 0].to(batch.semseg), batch.semseg),
                confidence=torch.where(no_classes, probability, trust),
            )
        return filled


def _unlabelled(valid: Tensor) -> Tensor:
    """Which panoramas of [B, 1, H, W] have no valid pixel at all, [B, 1, 1, 1]."""
    return ~valid.flatten(1).any(1)[:, None, None, None]
