"""Settings of the label engine."""

from __future__ import annotations

from dataclasses import dataclass

from mtpano_model.data.store import MAX_HEIGHT
from mtpano_model.errors import MtpanoError

_MAX_PATCH = 4096  # rows and columns; finer than any camera's panorama


@dataclass(frozen=True)
class LabelConfig:
    """Settings of the label engine; the defaults are the paper's (arXiv 2602.05330, section 3).

    height: rows of the canvas that labels are merged on; it is twice as wide.
    patches: perspective views per panorama. patch_size: their rows and columns in pixels.
    pitch_deg: range of the patches' pitch; None takes the range that all teachers prefer.
    hfov_deg: range of horizontal fields of view.
    class_set: classes of the labels in the store.
    erode: pixels by which a patch's valid area shrinks, at its border too.
    depth_edge: relative jump between neighbouring pixels' depth that counts as an edge and is
        dropped.
    batch: patches that a teacher labels at once.
    seed: seed of the patches' directions, which also depend on the panorama's name.
    """

    height: int = 512
    patches: int = 32
    patch_size: int = 512
    pitch_deg: tuple[float, float] | None = None
    hfov_deg: tuple[float, float] = (80.0, 120.0)
    class_set: str = "indoor18"
    erode: int = 2
    depth_edge: float = 0.1
    batch: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        if not 16 <= self.height <= MAX_HEIGHT or self.height % 2:
            raise MtpanoError(
                f"canvas height {self.height}: expected an even number from 16 to {MAX_HEIGHT}"
            )
        if self.patches < 1 or not 8 <= self.patch_size <= _MAX_PATCH:
            raise MtpanoError(
                f"{self.patches} patches of {self.patch_size} pixels: expected at least one of 8 "
                f"to {_MAX_PATCH}"
            )
        if self.batch < 1:
            raise MtpanoError(f"batches of {self.batch} patches: expected 1 or more")
        low, high = self.hfov_deg
        if not 1 <= low <= high <= 170:
            raise MtpanoError(f"fields of view {low} to {high} degrees: expected 1 to 170, rising")
        if self.pitch_deg and not -90 <= self.pitch_deg[0] <= self.pitch_deg[1] <= 90:
            raise MtpanoError(
                f"pitches {self.pitch_deg[0]} to {self.pitch_deg[1]} degrees: expected -90 to 90, "
                "rising"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the canvas."""
        return self.height, 2 * self.height
