"""One float channel per class, for mappers that read every field of a cloud as a float."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import ClassSet
from mtpano_model.errors import MtpanoError
from mtpano_model.robot.sampling import Floats


def class_ids(names: Sequence[str], classes: ClassSet) -> list[int]:
    """Ids of the classes named; MtpanoError for one that the model does not know."""
    for name in names:
        if name not in classes.names:
            raise MtpanoError(
                f"the model knows no class '{name}': expected some of {', '.join(classes.names)}"
            )
    return [classes.names.index(name) for name in names]


def class_channels(labels: NDArray[Any], ids: Sequence[int]) -> Floats:
    """[H, W, n] float32, 1 where a pixel is labelled ids[n] and 0 elsewhere."""
    return (labels[..., None] == np.asarray(ids, labels.dtype)).astype(np.float32)
