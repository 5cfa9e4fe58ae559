"""The labelled data sets by name, each split into training and held-out frames."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from mtpano_model.classes import DEFAULT_SET
from mtpano_model.data.sample import PanoramaDataset
from mtpano_model.errors import MtpanoError

KINDS = ("rooms", "structured3d", "stanford2d3d", "matterport3d", "store")
# The last panoramas by name are held out: a recording's neighbouring frames are nearly the same.
_HELD_OUT_SHARE = 0.1


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
    if kind == "rooms":
        return open_rooms(root, split, size, class_set)
    if kind == "structured3d":
        from mtpano_model.data.structured3d import Structured3DDataset

        return Structured3DDataset(root, split, size, class_set)
    if kind == "stanford2d3d":
        from mtpano_model.data.stanford2d3d import Stanford2D3DDataset

        return Stanford2D3DDataset(root, split, size, class_set)
    if kind == "matterport3d":
        from mtpano_model.data.matterport3d import Matterport3DDataset

        return Matterport3DDataset(root, split, size, class_set)
    if kind == "store":
        return open_store(root, split, size, class_set)
    raise MtpanoError(f"unknown data set '{kind}': expected one of {', '.join(KINDS)}")


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
