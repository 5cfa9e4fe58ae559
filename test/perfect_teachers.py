"""Teachers that know the room."""

from __future__ import annotations

import math

import torch
from box_room import sample

from mtpano_model.data.panorama import Panorama
from mtpano_model.labels.config import LabelConfig
from mtpano_model.labels.teacher import TeacherLabels

HEIGHT = 64
CONFIG = LabelConfig(height=HEIGHT, patches=24, patch_size=128)
TRUTH = sample(HEIGHT)


def box(name: str = "box") -> Panorama:
    return Panorama(name, TRUTH.image.permute(1, 2, 0).contiguous().numpy(), TRUTH)


class Fixed:
    """A teacher that says what a function of the views says."""

    name = "fixed"
    license = "none"

    def __init__(self, tasks, function, pitch_deg=(-90.0, 90.0)):
        self.tasks, self.function, self.pitch_deg = tasks, function, pitch_deg

    def label(self, patches, views, panorama):
        return self.function(patches, views)


class Whole:
    """A teacher that knows the truth about whole panoramas."""

    name = "whole"
    license = "none"

    def __init__(self, tasks):
        self.tasks = tasks

    def label_panorama(self, panorama, size):
        depth = TRUTH.depth.clone()
        depth[0, :4] = math.nan
        return TeacherLabels(
            depth[None],
            TRUTH.normals[None],
            TRUTH.semseg[None, None],
            torch.full((1, 1, *size), 0.5),
        )


def _class(views, number, confidence=None):
    shape = (len(views), 1, *views.size)
    return TeacherLabels(
        classes=torch.full(shape, number, dtype=torch.uint8), confidence=confidence
    )
