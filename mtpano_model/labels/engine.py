"""The label engine: makes the pseudo-labels of one panorama."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtpano_model.classes import IGNORE, load_class_set
from mtpano_model.data.panorama import Panorama
from mtpano_model.data.panorama_files import planes
from mtpano_model.data.pseudo_encoding import PseudoLabels
from mtpano_model.geometry.perspective import (
    Views,
    axis_cosine,
    sample_patch,
    seen_pixels,
    to_patches,
    z_to_range,
)
from mtpano_model.labels.asking import ask
from mtpano_model.labels.config import LabelConfig
from mtpano_model.labels.depth_teachers import DepthMap, combine_depths
from mtpano_model.labels.edges import depth_edges, erode
from mtpano_model.labels.merging import ClassVotes, DepthPatches, NormalMean, Seen
from mtpano_model.labels.out_of_memory import Batches, TeacherOutOfMemory
from mtpano_model.labels.sampling import sample_angles, views_of
from mtpano_model.labels.teacher import (
    PanoramaTeacher,
    Teacher,
    TeacherLabels,
    is_metric,
    known_classes,
    known_depth,
    unit_normals,
)
from mtpano_model.labels.teacher_set import check_tasks, common_pitch
from mtpano_model.labels.unseen import unseen_in_patches, unseen_pixels
from mtpano_model.pictures.resize import resize_image

log = logging.getLogger(__name__)


@dataclass
class _Canvas:
    """Merged maps while they are made: classes, confidence [P], normals [3, P]; depths."""

    classes: Tensor
    confidence: Tensor
    normals: Tensor
    depths: dict[str, DepthMap] = field(default_factory=dict)

    def forget(self, unseen: Tensor) -> None:
        """Remove the labels of pixels that show nothing, bool [P]."""
        self.classes.masked_fill_(unseen.to(self.classes.device), IGNORE)
        depths = [depth.depth for depth in self.depths.values()]
        for values in (self.confidence, self.normals, *depths):
            values.masked_fill_(unseen.to(values.device), 0)


class LabelEngine:
    """Labels panoramas with teachers: one for normals, and any number for depth and for classes of
    patches, whose labels are merged.

    MtpanoError if two teachers claim one task that cannot be merged, no teacher of depth is
    metric, or the patch teachers' pitch ranges do not meet.
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
        check_tasks(teachers)
        self.pitch_deg = config.pitch_deg or common_pitch(self.patch_teachers)
        self._batches = {id(teacher): Batches() for teacher in self.patch_teachers}

    @torch.inference_mode()
    def label(self, panorama: Panorama) -> PseudoLabels:
        """Merged labels on the config's canvas, and the depth patches behind them.

        TeacherOutOfMemory if memory does not suffice for a single patch or the whole panorama.
        """
        height, width = self.config.size
        pixels = height * width
        merged = _Canvas(
            torch.full((pixels,), IGNORE, dtype=torch.uint8),
            torch.zeros(pixels),
            torch.zeros(3, pixels),
        )
        angles, patches = np.zeros((0, 3)), np.zeros((0, 1, 1), np.float32)
        facts: dict[str, Any] = {}
        if self.patch_teachers:
            angles = sample_angles(self.config, self.pitch_deg, panorama.name)
            patches, facts = self._label_patches(panorama, angles, merged)
        for teacher in self.panorama_teachers:
            self._take_whole(teacher, panorama, merged)
        if panorama.seen is not None:
            merged.forget(unseen_pixels(panorama.seen, (height, width)))
        depth, confidence = torch.zeros(pixels), None
        if merged.depths:
            combined = combine_depths(list(merged.depths.values()))
            depth, confidence = combined.depth, combined.confidence
            if len(merged.depths) > 1:
                scales = zip(merged.depths, combined.log_scale.tolist(), strict=True)
                facts["teacher_log_scale"] = {
                    name: round(s, 5) if math.isfinite(s) else None for name, s in scales
                }
        return PseudoLabels(
            image=resize_image(panorama.image, (height, width)),
            classes=merged.classes.reshape(height, width).cpu().numpy(),
            confidence=merged.confidence.reshape(height, width).cpu().numpy(),
            normals=merged.normals.T.reshape(height, width, 3).contiguous().cpu().numpy(),
            depth=depth.reshape(height, width).cpu().numpy(),
            patches=patches,
            views=angles,
            facts=facts,
            depth_confidence=(
                None if confidence is None else confidence.reshape(height, width).cpu().numpy()
            ),
        )

    # --- patches ---------------------------------------------------------------------------------

    def _label_patches(
        self, panorama: Panorama, angles: NDArray[np.float64], merged: _Canvas
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Fill the tasks of the patch teachers; returns the first depth teacher's patches, and
        notes."""
        config, size = self.config, self.config.size
        tasks = {task for teacher in self.patch_teachers for task in teacher.tasks}
        votes = ClassVotes(len(self.classes), size[0] * size[1], self.device)
        normals = NormalMean(size[0] * size[1], self.device)
        deep = [teacher for teacher in self.patch_teachers if "depth" in teacher.tasks]
        depths = {id(teacher): DepthPatches(size, self.device) for teacher in deep}
        kept: list[Tensor] = []
        views = views_of(angles, config.patch_size).to(self.device)
        picture = self._picture(panorama.image)
        for part in views.split(config.batch):
            patches = to_patches(picture, part).round_().to(torch.uint8)
            seen = _seen(part, size)
            for teacher in self.patch_teachers:
                labels = self._batches[id(teacher)].label(teacher, patches, panorama, part)
                if panorama.seen is not None:
                    labels = labels.without(unseen_in_patches(panorama.seen, part))
                if "semseg" in teacher.tasks:
                    self._add_classes(votes, seen, labels, teacher.name)
                edges = self._depth_edges(labels)
                if "depth" in teacher.tasks:
                    ranges = self._add_depth(depths[id(teacher)], seen, labels, part, edges)
                    kept += [ranges] * (teacher is deep[0])
                if "normals" in teacher.tasks:
                    self._add_normals(normals, seen, labels, part, edges)
        facts: dict[str, Any] = {}
        if "semseg" in tasks:
            merged.classes, merged.confidence = votes.merge()
        if "normals" in tasks:
            merged.normals = normals.merge()
        if not deep:
            return np.zeros((0, 1, 1), np.float32), facts
        for teacher in reversed(deep):  # the notes are of the first, whose patches are kept
            depth, scale = depths[id(teacher)].merge()
            facts["patch_log_scale"] = [round(s, 5) for s in scale.tolist()]
            merged.depths[teacher.name] = DepthMap(depth, is_metric(teacher))
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
        fitting = resize_image(image, (rows, 2 * rows))
        return planes(fitting).to(self.device).float()

    # --- whole panoramas -------------------------------------------------------------------------

    def _take_whole(self, teacher: PanoramaTeacher, panorama: Panorama, merged: _Canvas) -> None:
        size = self.config.size
        asked = partial(teacher.label_panorama, panorama, size)
        labels = ask(teacher, asked, panorama.name, 1, size)
        if labels is None:
            raise TeacherOutOfMemory(f"teacher '{teacher.name}' ran out of memory")
        if "semseg" in teacher.tasks:
            classes, confidence = known_classes(labels, len(self.classes), teacher.name)
            merged.classes, merged.confidence = classes.flatten(), confidence.flatten()
        if "normals" in teacher.tasks:
            assert labels.normals is not None
            merged.normals = unit_normals(labels.normals.float())[0][0].flatten(1)
        if "depth" in teacher.tasks:
            assert labels.depth is not None
            depth = labels.depth.float()
            depth = torch.where(known_depth(depth), depth, 0).flatten()
            merged.depths[teacher.name] = DepthMap(depth, is_metric(teacher))


def _seen(views: Views, size: tuple[int, int]) -> list[Seen]:
    cosine = axis_cosine(views)
    return [
        Seen(pixels, places, sample_patch(cosine[n], places, "nearest")[0])
        for n, (pixels, places) in enumerate(seen_pixels(views, size))
    ]
