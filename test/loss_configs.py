"""Settings of the losses that tests share: the release's, and each task's first term alone."""

from __future__ import annotations

from mtpano_model.training.losses import LossConfig

RELEASED = LossConfig(convention="released")
L1_ONLY = LossConfig(depth_edge=0, depth_frequency=0, normals_edge=0, normals_frequency=0, dice=0)
