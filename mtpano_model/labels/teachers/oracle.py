"""A teacher that gives the ground truth, to measure the errors of the label engine itself."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from mtpano_model.data.panorama import Panorama
from mtpano_model.data.sample import Sample
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.perspective import Views, range_to_z, rotate, to_patches
from mtpano_model.labels.teacher import TeacherLabels


class Oracle:
    """Ground truth seen through patches: depth and classes nearest, normals bilinear.

    scale_drift: each patch's depth is off by a factor exp(scale_drift x normal noise), as a
    monocular teacher's is. No weights, no licence.
    """

    name = "oracle"
    tasks = ("depth", "normals", "semseg")
    pitch_deg = (-90.0, 90.0)
    license = "that of the data set's ground truth"

    def __init__(self, class_set: str, scale_drift: float = 0.0):
        self.class_set, self.scale_drift = class_set, scale_drift

    def label(self, patches: Tensor, views: Views, panorama: Panorama) -> TeacherLabels:
        truth = panorama.truth
        if truth is None:
            raise MtpanoError(
                f"teacher 'oracle' needs ground truth and '{panorama.name}' has none: use --data "
                "with a labelled data set"
            )
        distance, classes = _nearest(truth, views)
        z = range_to_z(distance, views) * self._factors(views)
        both = torch.cat([truth.normals * truth.normals_valid, truth.normals_valid.float()])
        sampled = to_patches(both.to(distance.device), views)
        # A neighbour without a normal would pull the mean towards it.
        normals = torch.where(sampled[:, 3:] > 0.999, sampled[:, :3], torch.nan)
        return TeacherLabels(z, rotate(normals, views.rotation.mT), classes)

    def _factors(self, views: Views) -> Tensor:
        """A factor that follows from where the patch looks, [N, 1, 1, 1]."""
        noise = []
        for rotation in views.rotation.cpu().numpy():
            seed = hashlib.sha256(rotation.tobytes()).digest()
            noise.append(np.random.default_rng(list(seed)).standard_normal())
        drift = torch.tensor(noise, dtype=torch.float32, device=views.rotation.device)
        return (self.scale_drift * drift).exp()[:, None, None, None]


def _nearest(truth: Sample, views: Views) -> tuple[Tensor, Tensor]:
    device = views.rotation.device
    depth = torch.where(truth.depth_valid, truth.depth, torch.nan).to(device)
    # One look-up for both: every class id is exact in float32.
    both = torch.cat([depth, truth.semseg[None].to(device, torch.float32)])
    sampled = to_patches(both, views, "nearest")
    return sampled[:, :1], sampled[:, 1:].to(torch.uint8)
