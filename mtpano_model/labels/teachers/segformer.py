"""SegFormer on ADE20K's 150 classes: the lightest of the three."""

from __future__ import annotations

from torch import Tensor

from mtpano_model.data.panorama import Panorama
from mtpano_model.geometry.perspective import Views
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.hub import load, normalised
from mtpano_model.labels.teachers.semantics import ClassScores, set_of_labels

DEFAULT = "nvidia/segformer-b5-finetuned-ade-640-640"


class SegFormer:
    """arXiv 2105.15203, through transformers.

    Licence of the default weights: NVIDIA's source code licence, not for commercial use; trained
    on ADE20K, whose images have terms for research.
    """

    tasks = ("semseg",)
    pitch_deg = (-60.0, 60.0)
    license = "NVIDIA source code licence (non-commercial); trained on ADE20K (research terms)"

    def __init__(self, source: str | None, class_set: str, device: str):
        self.name = f"segformer:{source or DEFAULT}"
        self._model = load("SegformerForSemanticSegmentation", source or DEFAULT)
        self._model.eval().to(device)
        own = set_of_labels(self._model.config.id2label, self.name)
        self._classes = ClassScores(own, class_set)

    def label(self, patches: Tensor, views: Views, panorama: Panorama) -> TeacherLabels:
        scores = self._model(pixel_values=normalised(patches, 32)).logits.softmax(1)
        classes, confidence = self._classes.best(scores, views.size)
        return TeacherLabels(classes=classes, confidence=confidence)
