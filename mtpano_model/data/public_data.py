"""What the readers of public data sets share: how they are opened, and which frames are whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mtpano_model.data import panorama_files as files
from mtpano_model.geometry.sphere import frame_matrix
from mtpano_model.pictures.normals import decode_normals

log = logging.getLogger(__name__)


@cache
def say_license(data: str, terms: str) -> None:
    """One line in the log, once a process."""
    log.info("the licence of %s: %s", data, terms)


class PublicDataset:
    """Frames by name; a subclass lists them (`_list`) and reads one (`__getitem__`).

    split: as the subclass has them, or "all". size: (H, W) that everything is resized to (labels
        by the nearest pixel); None keeps the files' own. class_set: of the samples; None takes the
        files' own, `own_set`, from which "indoor18" can be made as well where it has classes.
    """

    own_set: ClassVar[str]
    license: ClassVar[tuple[str, str] | None] = None  # the data's name and terms, to be logged

    def __init__(
        self,
        root: str | Path,
        split: str = "all",
        size: files.Size | None = (512, 1024),
        class_set: str | None = None,
    ):
        if self.license is not None:
            say_license(*self.license)
        self.root, self.size, self.class_set = Path(root), size, class_set or self.own_set
        self.names = self._list(split)

    def _list(self, split: str) -> list[str]:
        """Names of the frames of a split; MtpanoError where there is none."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.names)


class FileDataset(PublicDataset):
    """Frames whose labels are files of their own; those that lack one are left out.

    skipped: their names.
    """

    layout: ClassVar[str]  # where the files are expected, for the message if nothing is there

    def _list(self, split: str) -> list[str]:
        found = self.find_frames(self.root, split)
        self._frames, self.skipped = files.complete_frames(found, self.root, self.layout)
        self._classes = files.ClassConverter(self.own_set, self.class_set)
        return [frame.name for frame in self._frames]

    @staticmethod
    def find_frames(root: Path, split: str) -> Iterator[files.FrameFiles]:
        """Where the frames of a split are, whether or not all their files exist."""
        raise NotImplementedError


def read_nyu_labels(
    frame: files.FrameFiles, size: files.Size | None, classes: files.ClassConverter
) -> tuple[NDArray[np.float32], tuple[NDArray[np.float32], NDArray[np.bool_]], NDArray[np.uint8]]:
    """Depth [H, W] in metres, normals and their validity (`decode_normals`), classes [H, W].

    As Structured3D and Matterport3D store them: uint16 millimetres along the ray, the released
    frame of normals (geometry.sphere), NYU40 ids from 1 with 0 for none.
    """
    assert frame.normals is not None
    assert frame.semseg is not None
    depth = files.read_label(frame.depth, size, 1) / np.float32(1000)
    stored = files.read_label(frame.normals, size, 3)
    normals = decode_normals(stored, frame_matrix("released_normals", "optical"))
    nyu = files.read_label(frame.semseg, size, 1)
    return depth, normals, classes(nyu.astype(np.int32) - 1, frame.semseg)
