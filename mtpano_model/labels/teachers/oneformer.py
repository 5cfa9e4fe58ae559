"""OneFormer on ADE20K's 150 classes."""

from __future__ import annotations

import torch
from torch import Tensor

from mtpano_model.data.panorama import Panorama
from mtpano_model.geometry.perspective import Views
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.hub import load, mask_scores, normalised
from mtpano_model.labels.teachers.semantics import ClassScores, set_of_labels

DEFAULT = "shi-labs/oneformer_ade20k_swin_large"


class OneFormer:
    """arXiv 2211.06220, through transformers; asked for the semantic task.

    Licence of the default weights: MIT; trained on ADE20K, whose images have terms for research.
    """

    tasks = ("semseg",)
    pitch_deg = (-60.0, 60.0)
    license = "MIT; trained on ADE20K (research terms)"

    def __init__(self, source: str | None, class_set: str, device: str):
        self.name = f"oneformer:{source or DEFAULT}"
        self._model = load("OneFormerForUniversalSegmentation", source or DEFAULT)
        self._model.eval().to(device)
        own = set_of_labels(self._model.config.id2label, self.name)
        self._classes = ClassScores(own, class_set)
        self._task = self._task_tokens(source or DEFAULT).to(device)

    def label(self, patches: Tensor, views: Views, panorama: Panorama) -> TeacherLabels:
        task = self._task.expand(len(patches), -1)
        out = self._model(pixel_values=normalised(patches, 32), task_inputs=task)
        scores = mask_scores(out.class_queries_logits, out.masks_queries_logits)
        classes, confidence = self._classes.best(scores, views.size)
        return TeacherLabels(classes=classes, confidence=confidence)

    def _task_tokens(self, source: str) -> Tensor:
        """The sentence that asks for the task, [1, length], padding as 0."""
        length = self._model.config.task_seq_len
        tokens = load("CLIPTokenizer", source)(
            "the task is semantic", padding="max_length", max_length=length, truncation=True
        )
        return torch.tensor([tokens["input_ids"]]) * torch.tensor([tokens["attention_mask"]])
