"""Which pixels are surfaces of one kind, such as floor, by the class set's names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import ClassSet


def surface_ids(classes: ClassSet, surface: str) -> tuple[int, ...]:
    """Ids of the classes that the default set calls `surface`, such as floor or ceiling."""
    return tuple(index for index, name in enumerate(classes.indoor18) if name == surface)


def labelled(labels: NDArray[Any], ids: Iterable[int]) -> NDArray[np.bool_]:
    """Where labels, of any shape, are one of a few ids; np.isin takes many times as long."""
    found = np.zeros(labels.shape, bool)
    for one in ids:
        found |= labels == one
    return found
