"""Holds out the first quarter of each kind of ingredient from training."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

Split = Literal["train", "heldout"]
_HELD_OUT_SHARE = 0.25


def choose(names: Sequence[str], split: Split) -> list[str]:
    """The names of one side, ranked by SHA-1 of "split1:" + name; the first quarter is held out.

    Of two names or more at least one is held out; a single one is kept for training.
    """
    ranked = sorted(names, key=lambda name: hashlib.sha1(f"split1:{name}".encode()).hexdigest())
    held = max(1, round(_HELD_OUT_SHARE * len(ranked))) if len(ranked) > 1 else 0
    return ranked[:held] if split == "heldout" else ranked[held:]
