"""What the three public data sets have in common: a list of frames' files, read one by one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtpano_model.data import panorama_files as files
from mtpano_model.geometry.sphere import frame_matrix


class PublicDataset:
    """Frames that have all their files; a subclass finds them and reads one (`__getitem__`).

    frames: where to look. layout: what was expected, for the message if nothing is there.
    size: (H, W), None keeps the files'. own_set: class set of the files; class_set: of samples.
    skipped: names of frames that lack a file.
    """

    def __init__(
        self,
        root: str | Path,
        frames: Iterable[files.FrameFiles],
        layout: str,
        size: files.Size | None,
        own_set: str,
        class_set: str,
    ):
        self.root, self.size, self.class_set = Path(root), size, class_set
        self._frames, self.skipped = files.complete_frames(frames, self.root, layout)
        self.names = [frame.name for frame in self._frames]
        self._classes = files.ClassConverter(own_set, class_set)

    def __len__(self) -> int:
        return len(self.names)


def read_nyu_labels(
    frame: files.FrameFiles, size: files.Size | None, classes: files.ClassConverter
) -> tuple[NDArray[np.float32], tuple[NDArray[np.float32], NDArray[np.bool_]], NDArray[np.uint8]]:
    """Depth [H, W] in metres, normals and their validity (`decode_normals`), classes [H, W].

    As Structured3D and Matterport3D store them: uint16 millimetres along the ray, the released
    frame of normals (geometry.sphere), NYU40 ids from 1 with 0 for none.
    """
    depth = files.read_label(frame.depth, size, 1) / np.float32(1000)
    stored = files.read_label(frame.normals, size, 3)
    normals = files.decode_normals(stored, frame_matrix("released_normals", "optical"))
    nyu = files.read_label(frame.semseg, size, 1)
    return depth, normals, classes(nyu.astype(np.int32) - 1, frame.semseg)
