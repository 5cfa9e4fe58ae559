"""The labelled data sets by name; nothing of them is imported before one is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from mtpano_model.classes import DEFAULT_SET
from mtpano_model.errors import MtpanoError

if TYPE_CHECKING:
    from mtpano_model.data.sample import PanoramaDataset

MeasuredName = Literal[
    "rooms", "structured3d", "stanford2d3d", "matterport3d",
    "panocarla", "zuripano", "panoinfinigen", "zind",
]  # fmt: skip
DataName = Literal[MeasuredName, "store"]
KINDS: tuple[DataName, ...] = get_args(DataName)
# The last panoramas by name are held out: a recording's neighbouring frames are nearly the same.
_HELD_OUT_SHARE = 0.1


@dataclass(frozen=True)
class DataSource:
    """A data set.

    reader: MODULE.NAME in this package of what is called with (root, split, size, class_set).
    own_set: the class set of its labels, None: its root says so. size: (H, W) at which it is read
    unless told otherwise, None: the files' own. splits: the names it knows beside "all". exact:
    depth and normals are rendered, not scanned.
    """

    reader: str
    own_set: str | None
    size: tuple[int, int] | None
    splits: tuple[str, ...]
    exact: bool = False

    def open(
        self, root: str | Path, split: str, size: tuple[int, int] | None, class_set: str
    ) -> PanoramaDataset:
        """Frames of a split, or all; size (H, W), None keeps the files'."""
        module, name = self.reader.split(".")
        reader = getattr(import_module(f"mtpano_model.data.{module}"), name)
        return reader(root, split, size, class_set)


_LARGE = (512, 1024)
_THREE = ("train", "val", "test")
SOURCES: dict[DataName, DataSource] = {
    "rooms": DataSource("rooms.RoomsDataset", "nyu40", None, ("train", "val"), True),
    "structured3d": DataSource("structured3d.Structured3DDataset", "nyu40", _LARGE, _THREE, True),
    "stanford2d3d": DataSource(
        "stanford2d3d.Stanford2D3DDataset", "stanford13", _LARGE, ("train", "val")
    ),
    "matterport3d": DataSource("matterport3d.Matterport3DDataset", "nyu40", _LARGE, _THREE),
    "panocarla": DataSource("panocarla.PanoCarlaDataset", "outdoor19", _LARGE, _THREE),
    "zuripano": DataSource("zuripano.ZuriPanoDataset", "outdoor19", _LARGE, ("test",)),
    "panoinfinigen": DataSource(
        "panoinfinigen.PanoInfinigenDataset", "outdoor19", _LARGE, _THREE, True
    ),
    "zind": DataSource("zind.ZindDataset", "nyu40", _LARGE, _THREE),
    "store": DataSource("sources.open_store", None, None, ("train", "val")),
}


def open_frames(
    kind: str,
    root: str | Path,
    split: Literal["train", "val"],
    size: tuple[int, int] | None = None,
    class_set: str = DEFAULT_SET,
) -> PanoramaDataset:
    """Frames of a split of a data set; MtpanoError where the kind or the root is wrong.

    Each kind's reader says how it splits; a label store holds out its last tenth by name.
    """
    if kind not in KINDS:
        raise MtpanoError(f"unknown data set '{kind}': expected one of {', '.join(KINDS)}")
    if kind == "rooms":
        return open_rooms(root, split, size, class_set)
    return SOURCES[kind].open(root, split, size, class_set)


def open_rooms(
    root: str | Path,
    split: Literal["train", "val"],
    size: tuple[int, int] | None = None,
    class_set: str = DEFAULT_SET,
    share: float = 1.0,
) -> PanoramaDataset:
    """Rendered rooms, read into memory at once; share: of the split's rooms."""
    from mtpano_model.data.rooms import RoomsDataset

    rooms = RoomsDataset(root, split, size, class_set, cache=True, share=share)
    rooms.preload()
    return rooms


def open_store(
    root: str | Path,
    split: Literal["train", "val", "all"],
    size: tuple[int, int] | None = None,
    class_set: str = DEFAULT_SET,
) -> PanoramaDataset:
    """Panoramas of a label store: "val" are its last tenth, at least one; "train" the others.

    Last by name, for names follow a recording's time. The store's own order does not where several
    workers shared the frames of every stretch.
    """
    from mtpano_model.data.pseudo_labelled import PseudoLabelled
    from mtpano_model.data.store import Store

    if split == "all":
        return PseudoLabelled(root, size, class_set)
    names = sorted(Store(root).names, key=_with_long_numbers)
    held_out = max(round(len(names) * _HELD_OUT_SHARE), 1)
    if len(names) <= held_out:
        raise MtpanoError(
            f"store {root} holds {len(names)} panoramas: at least 2 are needed to train and to "
            "validate, label more"
        )
    chosen = names[:-held_out] if split == "train" else names[-held_out:]
    return PseudoLabelled(root, size, class_set, chosen)


def _with_long_numbers(name: str) -> str:
    """A name that sorts by its numbers: view9 before view10."""
    return re.sub("[0-9]+", lambda number: number[0].zfill(20), name)
