"""A data set in the class set in which its labels are compared with a model's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import DEFAULT_SET, ClassSet, load_class_set
from mtpano_model.data.sample import PanoramaDataset
from mtpano_model.data.sources import SOURCES, DataName
from mtpano_model.data.store import read_meta
from mtpano_model.errors import MtpanoError


@dataclass(frozen=True)
class Comparison:
    """Frames, the class set of their labels, and how a model's ids become ids of that set.

    exact: depth and normals of the frames are rendered, not scanned.
    """

    frames: PanoramaDataset
    classes: ClassSet
    lookup: NDArray[np.uint8] | None  # [256]; None: the model's ids are the set's
    exact: bool = False

    def translate(self, labels: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Predicted class ids -> ids of `classes`, IGNORE for those without a counterpart."""
        ids = np.minimum(labels, 255).astype(np.uint8)
        return ids if self.lookup is None else self.lookup[ids]


def open_comparison(
    name: DataName,
    root: Path,
    model_classes: ClassSet,
    split: str | None = None,
    size: tuple[int, int] | None = None,
) -> Comparison:
    """Open a data set for a model.

    A model of the data set's own class set is compared in it, any other in the default set, which
    all known sets map to. split None: every frame. size: (H, W), None: the data set's usual one.
    """
    source = SOURCES[name]
    if split is not None and split not in source.splits:
        raise MtpanoError(f"{name} has no split '{split}': use {' or '.join(source.splits)}")
    if not root.is_dir():
        raise MtpanoError(f"{root} is not a folder: give the root of the {name} data set")
    own_set = source.own_set or read_meta(root)["class_set"]
    same = model_classes.name == own_set
    common = load_class_set(own_set if same else DEFAULT_SET)
    if not same and not any(model_classes.indoor18):
        raise MtpanoError(
            f"the model's class set '{model_classes.name}' has no mapping to {DEFAULT_SET}: its "
            f"labels cannot be compared with those of {name}"
        )
    frames = source.open(root, split or "all", size or source.size, common.name)
    lookup = None if same else model_classes.lookup_to_default()
    return Comparison(frames, common, lookup, source.exact)
