"""The result of labelling: counts, and the pictures that were skipped."""

from __future__ import annotations

from dataclasses import dataclass, field

from mtpano_model.data.panorama import Skipped


@dataclass
class Outcome:
    """Number of panoramas that a session labelled, and those that it could not label.

    is_complete: it reached the end of the source; False if the store was full before.
    """

    labelled: int = 0
    is_complete: bool = True
    skipped: list[Skipped] = field(default_factory=list)
