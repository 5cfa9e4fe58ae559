"""One panorama in, its pseudo-labels out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtpano_model.classes import IGNORE, load_class_set
from mtpano_model.data.panorama import Panorama
from mtpano_model.data.panorama_files import resize_rgb
from mtpano_model.data.pseudo_encoding import PseudoLabels
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.perspective import (
    Views,
    axis_cosine,
    sample_patch,
    seen_pixels,
    to_patches,
    z_to_range,
)
from mtpano_model.labels.config import LabelConfig
from mtpano_model.labels.masks import depth_edges, erode
from mtpano_model.labels.merging import ClassVotes, DepthPatches, NormalMean, Seen
from mtpano_model.labels.sampling import sample_angles, views_of
from mtpano_model.labels.teacher import (
    PanoramaTeacher,
    Teacher,
    TeacherLabels,
    known_classes,
    known_depth,
    unit_normals,
)

log = logging.getLogger(__name__)


@dataclass
class _Canvas:
    """Merged maps while they are made: classes, confidence [P], normals [3, P], depth [P]."""

    classes: Tensor
    confidence: Tensor
    normals: Tensor
    depth: Tensor


class LabelEngine:
    """Labels panoramas with teachers: each task by one of them, classes of patches by any number,
    whose votes count together.

    MtpanoError where two teachers claim one task, or the patch teachers' pitch ranges do not meet.
    """

    def __init__(
        self,
        teachers: Sequence[Teacher | PanoramaTeacher],
        config: LabelConfig,
        device: torch.device | str = "cpu",
    ):
        self.config, self.device = config, torch.device(device)
        self.classes = load_class_set(config.class_set)
        self.patch_teachers = [t for t in teachers if isinstance(t, Teacher)]
        self.panorama_teachers = [t for t in teachers if isinstance(t, PanoramaTeacher)]
        _check_tasks(teachers)
        self.pitch_deg = config.pitch_deg or _common_pitch(self.patch_teachers)

    @torch.inference_mode()
    def label(self, panorama: Panorama) -> PseudoLabels:
        """Merged labels on the config's canvas, and the depth patches behind them."""
        height, width = self.config.size
        pixels = height * width
        merged = _Canvas(
            torch.full((pixels,), IGNORE, dtype=torch.uint8),
            torch.zeros(pixels),
            torch.zeros(3, pixels),
            torch.zeros(pixels),
        )
        angles, patches = np.zeros((0, 3)), np.zeros((0, 1, 1), np.float32)
        facts: dict[str, Any] = {}
        if self.patch_teachers:
            angles = sample_angles(self.config, self.pitch_deg, panorama.name)
            patches, facts = self._label_patches(panorama, angles, merged)
        for teacher in self.panorama_teachers:
            self._take_whole(teacher, panorama, merged)
        return PseudoLabels(
            image=resize_rgb(panorama.image, (height, width)),
            classes=merged.classes.reshape(height, width).cpu().numpy(),
            confidence=merged.confidence.reshape(height, width).cpu().numpy(),
            normals=merged.normals.T.reshape(height, width, 3).contiguous().cpu().numpy(),
            depth=merged.depth.reshape(height, width).cpu().numpy(),
            patches=patches,
            views=angles,
            facts=facts,
        )

    # --- patches ---------------------------------------------------------------------------------

    def _label_patches(
        self, panorama: Panorama, angles: NDArray[np.float64], merged: _Canvas
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Fill the tasks of the patch teachers; returns their depth patches and notes."""
        config, size = self.config, self.config.size
        tasks = {task for teacher in self.patch_teachers for task in teacher.tasks}
        votes = ClassVotes(len(self.classes), size[0] * size[1], self.device)
        normals = NormalMean(size[0] * size[1], self.device)
        depths = DepthPatches(size, self.device)
        kept: list[Tensor] = []
        views = views_of(angles, config.patch_size).to(self.device)
        picture = self._picture(panorama.image)
        for part in views.split(config.batch):
            patches = to_patches(picture, part).round_().to(torch.uint8)
            seen = _seen(part, size)
            for teacher in self.patch_teachers:
                labels = teacher.label(patches, part, panorama)
                if "semseg" in teacher.tasks:
                    self._add_classes(votes, seen, labels, teacher.name)
                edges = self._depth_edges(labels)
                if "depth" in teacher.tasks:
                    kept.append(self._add_depth(depths, seen, labels, part, edges))
                if "normals" in teacher.tasks:
                    self._add_normals(normals, seen, labels, part, edges)
        facts: dict[str, Any] = {}
        if "semseg" in tasks:
            merged.classes, merged.confidence = votes.merge()
        if "normals" in tasks:
            merged.normals = normals.merge()
        if "depth" not in tasks:
            return np.zeros((0, 1, 1), np.float32), facts
        merged.depth, scale = depths.merge()
        facts["patch_log_scale"] = [round(s, 5) for s in scale.tolist()]
        ranges = torch.cat(kept)[:, 0]
        blind = int((~ranges.flatten(1).any(1)).sum())
        if blind:
            log.warning(
                "%s: %d of %d patches have no usable depth", panorama.name, blind, len(ranges)
            )
        return ranges.cpu().numpy(), facts

    def _add_classes(
        self, votes: ClassVotes, seen: list[Seen], labels: TeacherLabels, name: str
    ) -> None:
        classes, confidence = known_classes(labels, len(self.classes), name)
        valid = erode(torch.ones_like(classes, dtype=torch.bool), self.config.erode)
        for n, pixels in enumerate(seen):
            votes.add(pixels, classes[n], confidence[n], valid[n])

    def _depth_edges(self, labels: TeacherLabels) -> Tensor | None:
        """Where a teacher's depth jumps, bool [N, 1, h, w]; None where it gives no depth.

        Two surfaces blend there, in its normals too.
        """
        if labels.depth is None:
            return None
        z = labels.depth.float()
        return depth_edges(z, known_depth(z), self.config.depth_edge)

    def _add_depth(
        self,
        depths: DepthPatches,
        seen: list[Seen],
        labels: TeacherLabels,
        views: Views,
        edges: Tensor | None,
    ) -> Tensor:
        """Returns the patches' usable depth along the ray, 0 elsewhere, [N, 1, h, w]."""
        assert labels.depth is not None
        assert edges is not None
        z = labels.depth.float()
        usable = erode(known_depth(z), self.config.erode) & ~edges
        distance = torch.where(usable, z_to_range(z, views), 0)
        for n, pixels in enumerate(seen):
            depths.add(pixels, distance[n], usable[n])
        return distance

    def _add_normals(
        self,
        mean: NormalMean,
        seen: list[Seen],
        labels: TeacherLabels,
        views: Views,
        edges: Tensor | None,
    ) -> None:
        assert labels.normals is not None
        normals, known = unit_normals(labels.normals.float())
        usable = erode(known, self.config.erode)
        if edges is not None:
            usable = usable & ~edges
        for n, pixels in enumerate(seen):
            mean.add(pixels, normals[n], views.rotation[n], usable[n])

    def _picture(self, image: NDArray[np.uint8]) -> Tensor:
        """float [3, H, W], 0..255, no finer than a patch can show: sampling must not alias."""
        height = image.shape[0]
        rows = min(height, 2 * self.config.patch_size)
        fitting = resize_rgb(image, (rows, 2 * rows))
        planes = np.ascontiguousarray(fitting.transpose(2, 0, 1))
        return torch.from_numpy(planes).to(self.device).float()

    # --- whole panoramas -------------------------------------------------------------------------

    def _take_whole(self, teacher: PanoramaTeacher, panorama: Panorama, merged: _Canvas) -> None:
        labels = teacher.label_panorama(panorama, self.config.size)
        if "semseg" in teacher.tasks:
            classes, confidence = known_classes(labels, len(self.classes), teacher.name)
            merged.classes, merged.confidence = classes.flatten(), confidence.flatten()
        if "normals" in teacher.tasks:
            assert labels.normals is not None
            merged.normals = unit_normals(labels.normals.float())[0][0].flatten(1)
        if "depth" in teacher.tasks:
            assert labels.depth is not None
            depth = labels.depth.float()
            merged.depth = torch.where(known_depth(depth), depth, 0).flatten()


def _seen(views: Views, size: tuple[int, int]) -> list[Seen]:
    cosine = axis_cosine(views)
    return [
        Seen(pixels, places, sample_patch(cosine[n], places, "nearest")[0])
        for n, (pixels, places) in enumerate(seen_pixels(views, size))
    ]


def _check_tasks(teachers: Sequence[Teacher | PanoramaTeacher]) -> None:
    by_task: dict[str, Teacher | PanoramaTeacher] = {}
    for teacher in teachers:
        for task in teacher.tasks:
            first = by_task.setdefault(task, teacher)
            votes = task == "semseg" and isinstance(first, Teacher) and isinstance(teacher, Teacher)
            if first is not teacher and not votes:
                raise MtpanoError(
                    f"teachers '{first.name}' and '{teacher.name}' both label {task}: give one"
                )
    if not by_task:
        raise MtpanoError("no teacher: give at least one with --teacher")


def _common_pitch(teachers: Sequence[Teacher]) -> tuple[float, float]:
    low = max((t.pitch_deg[0] for t in teachers), default=-90.0)
    high = min((t.pitch_deg[1] for t in teachers), default=90.0)
    if low > high:
        raise MtpanoError(
            f"teachers {', '.join(t.name for t in teachers)} prefer pitches that do not meet: "
            "give a range with --pitch"
        )
    return low, high
