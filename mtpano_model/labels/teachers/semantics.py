"""From a segmenter's scores to classes of the wanted set."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from mtpano_model.classes import IGNORE, available_class_sets, class_lookup, load_class_set
from mtpano_model.errors import MtpanoError


def set_of_labels(id2label: Mapping[int, str], source: str) -> str:
    """The class set of a segmenter: the one of its size that begins with the same name.

    Names of ADE20K's classes differ between publishers ("wall", "wall;brick"), so only the start of
    the first is compared. MtpanoError if none fits.
    """
    for name in available_class_sets():
        known = load_class_set(name)
        if len(known) == len(id2label) and id2label[0].lower().startswith(known.names[0]):
            return name
    sizes = ", ".join(f"{n} ({len(load_class_set(n))})" for n in available_class_sets())
    raise MtpanoError(
        f"'{source}' has {len(id2label)} classes that begin with '{id2label[0]}': give a "
        f"segmenter of one of the class sets {sizes}"
    )


class ClassScores:
    """Turns scores over a teacher's own classes into classes of another set.

    Scores of classes that become one are added before the best is taken, and so are those of all
    classes that become none: where these win, the pixel stays unlabelled.
    """

    def __init__(self, own: str, wanted: str):
        self._count = len(load_class_set(wanted))
        table = class_lookup(own, wanted)[: len(load_class_set(own))]
        target = torch.from_numpy(table).long()
        self._target = torch.where(target == IGNORE, self._count, target)

    def best(self, scores: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """scores: [N, C, h', w'], not negative, of any scale per pixel. Returns classes uint8 and
        the winner's share, float, each [N, 1, h, w] at `size`, interpolated bilinearly."""
        n, _, h, w = scores.shape
        grouped = scores.new_zeros(n, self._count + 1, h, w)
        grouped.index_add_(1, self._target.to(scores.device), scores)
        grouped /= grouped.sum(1, keepdim=True).clamp_min(1e-9)
        grouped = F.interpolate(grouped, size, mode="bilinear", align_corners=False)
        share, winner = grouped.max(1, keepdim=True)
        winner = torch.where(winner == self._count, IGNORE, winner)
        return winner.to(torch.uint8), share
