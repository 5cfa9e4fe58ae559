"""The rules for special values of depth: ranges, masks, open classes; and how depth is finished."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.resize import resize_nearest
from mtpano_model.pictures.size import Size

DepthFinish = Literal["off", "normals"]
DEPTH_FINISHES: tuple[DepthFinish, ...] = get_args(DepthFinish)
USUAL_FINISH: DepthFinish = "normals"


def finite_or_nan(planes: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    """(values [n, h, w], contiguous and with NaN for infinities; how many were not finite)."""
    values = np.ascontiguousarray(planes)
    finite = np.isfinite(values)
    if finite.all():
        return values, 0
    return np.where(finite, values, np.float32(np.nan)), int(values.size - np.count_nonzero(finite))


def open_pixels(is_open: NDArray[np.bool_], labels: NDArray[Any]) -> NDArray[np.bool_]:
    """[H, W] bool: which ids are open, by a table [256] (for ids of 16 bits [65536])."""
    if labels.dtype == np.uint8:  # eight times as fast as numpy, which widens every index
        return cv2.LUT(labels, is_open.view(np.uint8)).view(bool)
    return np.take(is_open, labels)


@dataclass(frozen=True, eq=False)
class ValueRules:
    """Which depths become special values (REP-117); MtpanoError for ranges that do not fit.

    min_range, max_range: metres; nearer becomes -Inf, farther +Inf.
    mask: bool or uint8 [h, w] of any 2:1 size, non-zero where the picture shows the robot itself
        (tripod, chassis): depth and normals become NaN there.
    depth_finish: one of DEPTH_FINISHES; "normals" corrects depth by the predicted normals first,
        see depth_finish.py; "off" leaves it as the network gives it.
    seen: bool [h, w] of any 2:1 size, false where the picture shows nothing at all (no lens looks
        there, or it was cut off): labels become unlabelled there as well. None: all is seen.
    """

    min_range: float = 0.0
    max_range: float = float("inf")
    mask: NDArray[Any] | None = None
    depth_finish: str = USUAL_FINISH
    seen: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_range < self.max_range:
            raise MtpanoError(
                f"min_range {self.min_range:g} m and max_range {self.max_range:g} m do not fit: "
                "expected 0 <= min_range < max_range"
            )
        if self.depth_finish not in DEPTH_FINISHES:
            raise MtpanoError(
                f"depth_finish is '{self.depth_finish}': expected {' or '.join(DEPTH_FINISHES)}"
            )

    def unseen_at(self, size: Size) -> NDArray[np.bool_] | None:
        """[H, W] bool: True where the picture shows nothing at all; None if nowhere."""
        if self.seen is None:
            return None
        return ~resize_nearest(self.seen.view(np.uint8), size).view(bool)

    def hidden_at(self, size: Size, unseen: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
        """[H, W] bool: True where no surface can be known, `unseen` included; None if nowhere.

        unseen: the result of `unseen_at`.
        """
        if self.mask is None:
            return unseen
        mask = resize_nearest((self.mask != 0).view(np.uint8), size).view(bool)
        return mask if unseen is None else mask | unseen
