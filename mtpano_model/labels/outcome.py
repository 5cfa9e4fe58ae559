"""The result of labelling: counts, and the pictures that were skipped."""

from __future__ import annotations

from dataclasses import dataclass, field

from mtpano_model.data.panorama import Skipped


@dataclass
class Outcome:
    """What a session did: panoramas labelled, and those that could not be.

    is_complete: it ended because there was no more, not because the store was full.
    """

    labelled: int = 0
    is_complete: bool = True
    skipped: list[Skipped] = field(default_factory=list)
