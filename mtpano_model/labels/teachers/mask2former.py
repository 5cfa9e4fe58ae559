"""Mask2Former on ADE20K's 150 classes: the stand-in for the paper's InternImage-H."""

from __future__ import annotations

from torch import Tensor

from mtpano_model.data.panorama import Panorama
from mtpano_model.geometry.perspective import Views
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.hub import load, mask_scores, normalised
from mtpano_model.labels.teachers.semantics import ClassScores, set_of_labels

DEFAULT = "facebook/mask2former-swin-large-ade-semantic"


class Mask2Former:
    """arXiv 2112.01527, through transformers.

    Licence of the default weights: "other" by their card (code MIT); trained on ADE20K, whose
    images have terms for research. At home with any pitch, best near the horizon.
    """

    tasks = ("semseg",)
    pitch_deg = (-60.0, 60.0)
    license = "other (see the model card); trained on ADE20K (research terms)"

    def __init__(self, source: str | None, class_set: str, device: str):
        self.name = f"mask2former:{source or DEFAULT}"
        self._model = load("Mask2FormerForUniversalSegmentation", source or DEFAULT)
        self._model.eval().to(device)
        own = set_of_labels(self._model.config.id2label, self.name)
        self._classes = ClassScores(own, class_set)

    def label(self, patches: Tensor, views: Views, panorama: Panorama) -> TeacherLabels:
        out = self._model(pixel_values=normalised(patches, 32))
        scores = mask_scores(out.class_queries_logits, out.masks_queries_logits)
        classes, confidence = self._classes.best(scores, views.size)
        return TeacherLabels(classes=classes, confidence=confidence)
