"""Data sets and label stores by name, in the class set in which model and labels compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import DEFAULT_SET, ClassSet, load_class_set
from mtpano_model.data.matterport3d import Matterport3DDataset
from mtpano_model.data.rooms import RoomsDataset
from mtpano_model.data.sample import PanoramaDataset
from mtpano_model.data.sources import open_store
from mtpano_model.data.stanford2d3d import Stanford2D3DDataset
from mtpano_model.data.store import read_meta
from mtpano_model.data.structured3d import Structured3DDataset
from mtpano_model.errors import MtpanoError

DataName = Literal["rooms", "structured3d", "stanford2d3d", "matterport3d", "store"]


@dataclass(frozen=True)
class DataSource:
    """How a data set is opened: (root, split, size, class_set) -> frames.

    own_set: the class set of its labels, None: its root says so. size: at which it is read unless
    told otherwise, None: the files' own. splits: the names it knows beside "all".
    """

    open: Callable[..., Any]
    own_set: str | None
    size: tuple[int, int] | None
    splits: tuple[str, ...]


SOURCES: dict[DataName, DataSource] = {
    "rooms": DataSource(RoomsDataset, "nyu40", None, ("train", "val")),
    "structured3d": DataSource(Structured3DDataset, "nyu40", (512, 1024), ("train", "val", "test")),
    "stanford2d3d": DataSource(Stanford2D3DDataset, "stanford13", (512, 1024), ("train", "val")),
    "matterport3d": DataSource(Matterport3DDataset, "nyu40", (512, 1024), ("train", "val", "test")),
    "store": DataSource(open_store, None, None, ("train", "val")),
}


@dataclass(frozen=True)
class Comparison:
    """Frames, the class set of their labels, and how a model's ids become ids of that set."""

    frames: PanoramaDataset
    classes: ClassSet
    lookup: NDArray[np.uint8] | None  # [256]; None: the model's ids are the set's

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
    frames = source.open(root, split or "all", size or source.size, class_set=common.name)
    return Comparison(frames, common, None if same else model_classes.lookup_to_default())
