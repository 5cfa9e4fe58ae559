"""Segmenters of ADE20K's 150 classes through transformers."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from mtpano_model.data.panorama import Panorama
from mtpano_model.geometry.perspective import Views
from mtpano_model.labels.teacher import TeacherLabels
from mtpano_model.labels.teachers.hub import load, mask_scores, normalised
from mtpano_model.labels.teachers.semantics import ClassScores, set_of_labels


class _Segmenter:
    """A teacher of classes. Such models were trained on level pictures, hence the pitch range."""

    tasks = ("semseg",)
    pitch_deg = (-60.0, 60.0)
    license: ClassVar[str]  # of the default weights
    kind: ClassVar[str]  # the class of transformers
    default: ClassVar[str]  # repository of the hub

    def __init__(self, source: str | None, class_set: str, device: str):
        self.source = source or self.default
        self.name = f"{type(self).__name__.lower()}:{self.source}"
        self._model = load(self.kind, self.source).eval().to(device)
        own = set_of_labels(self._model.config.id2label, self.name)
        self._classes = ClassScores(own, class_set)

    def label(self, patches: Tensor, views: Views, panorama: Panorama) -> TeacherLabels:
        scores = self._scores(normalised(patches, 32))
        classes, confidence = self._classes.best(scores, views.size)
        return TeacherLabels(classes=classes, confidence=confidence)

    def _scores(self, pictures: Tensor) -> Tensor:
        """Scores [N, C, h, w] of normalised pictures [N, 3, H, W]."""
        raise NotImplementedError


class Mask2Former(_Segmenter):
    """arXiv 2112.01527: the stand-in for the paper's InternImage-H.

    Licence of the default weights: "other" by their card (code MIT); trained on ADE20K, whose
    images have research terms.
    """

    license = "other (see the model card); trained on ADE20K (research terms)"
    kind = "Mask2FormerForUniversalSegmentation"
    default = "facebook/mask2former-swin-large-ade-semantic"

    def _scores(self, pictures: Tensor) -> Tensor:
        out = self._model(pixel_values=pictures)
        return mask_scores(out.class_queries_logits, out.masks_queries_logits)


class EoMT(_Segmenter):
    """arXiv 2503.19108: a plain ViT, of Mask2Former's answers and of pictures of one size.

    Licence of the default weights: MIT; trained on ADE20K, whose images have research terms.
    """

    license = "MIT; trained on ADE20K (research terms)"
    kind = "EomtForUniversalSegmentation"
    default = "tue-mps/ade20k_semantic_eomt_large_512"

    def _scores(self, pictures: Tensor) -> Tensor:
        side = self._model.config.image_size
        fitting = F.interpolate(
            pictures, (side, side), mode="bilinear", align_corners=False, antialias=True
        )
        out = self._model(pixel_values=fitting)
        return mask_scores(out.class_queries_logits, out.masks_queries_logits)


class OneFormer(_Segmenter):
    """arXiv 2211.06220, asked for the semantic task.

    Licence of the default weights: MIT; trained on ADE20K, whose images have research terms.
    """

    license = "MIT; trained on ADE20K (research terms)"
    kind = "OneFormerForUniversalSegmentation"
    default = "shi-labs/oneformer_ade20k_swin_large"

    def __init__(self, source: str | None, class_set: str, device: str):
        super().__init__(source, class_set, device)
        tokens = load("CLIPTokenizer", self.source)(
            "the task is semantic",
            padding="max_length",
            max_length=self._model.config.task_seq_len,
            truncation=True,
        )
        # [1, length], padding as 0
        task = torch.tensor([tokens["input_ids"]]) * torch.tensor([tokens["attention_mask"]])
        self._task = task.to(device)

    def _scores(self, pictures: Tensor) -> Tensor:
        task = self._task.expand(len(pictures), -1)
        out = self._model(pixel_values=pictures, task_inputs=task)
        return mask_scores(out.class_queries_logits, out.masks_queries_logits)


class SegFormer(_Segmenter):
    """arXiv 2105.15203: the lightest of the three.

    Licence of the default weights: NVIDIA's source code licence, not for commercial use; trained
    on ADE20K, whose images have research terms.
    """

    license = "NVIDIA source code licence (non-commercial); trained on ADE20K (research terms)"
    kind = "SegformerForSemanticSegmentation"
    default = "nvidia/segformer-b5-finetuned-ade-640-640"

    def _scores(self, pictures: Tensor) -> Tensor:
        return self._model(pixel_values=pictures).logits.softmax(1)
