"""PanoInfinigen: rendered nature, interiors and towns, in either form in which it is published."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import IGNORE
from mtpano_model.data import panorama_files as files
from mtpano_model.data.panoinfinigen_views import LAYOUT, find_views
from mtpano_model.data.public_data import PublicDataset
from mtpano_model.data.sample import Sample
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import frame_matrix, rays
from mtpano_model.pictures.resize import resize_image, resize_nearest

log = logging.getLogger(__name__)

_ENDS = 0.999  # of the farthest depth, which is stored with some 10 bits
_FACING = 0.75  # share of the normals that have to look at the camera


class PanoInfinigenDataset(PublicDataset):
    """All views of a split; there are no classes. Normals are in Structured3D's frame (x forward,
    y up, z left): those of a view most of which look away from the camera are left out.

    Needs pyarrow for the parquet form, lmdb for the other.
    """

    own_set = "outdoor19"
    license = (
        "PanoInfinigen",
        "BSD-3-Clause, its urban part non-commercial (prs-eth/PanoInfinigen)",
    )

    def _list(self, split: str) -> list[str]:
        self._views = find_views(self.root, split)
        if not self._views.names:
            raise MtpanoError(
                f"{self.root} holds no complete view of split '{split}' ({self._views.skipped} "
                f"lack depth or normals): expected {LAYOUT}"
            )
        return self._views.names

    def __getitem__(self, index: int) -> Sample:
        name = self.names[index]
        try:
            view = self._views.read(index)
        except ValueError as error:
            raise MtpanoError(f"view '{name}' of {self.root} is damaged ({error})") from error
        size = self.size or (view.image.shape[0], view.image.shape[1])
        depth, stored = resize_nearest(view.depth, size), resize_nearest(view.normals, size)
        depth = np.where((depth > 0) & (depth < _ENDS * view.farthest), depth, 0)
        normals = stored @ frame_matrix("released_normals", "optical").T.astype(np.float32)
        length = np.linalg.norm(normals, axis=-1, keepdims=True)
        valid = (length[..., 0] > 0.5) & (depth > 0)
        normals /= np.maximum(length, 1e-6)
        valid &= _facing(normals, valid, name)
        semseg = np.full(size, IGNORE, np.uint8)
        return files.make_sample(
            name,
            resize_image(view.image, size),
            depth,
            (np.where(valid[..., None], normals, 0).astype(np.float32), valid),
            semseg,
        )


def _facing(normals: NDArray[np.float32], valid: NDArray[np.bool_], name: str) -> NDArray[np.bool_]:
    """All true, or, where most look away from the camera, all false: the frame is another."""
    away = (normals * rays(*valid.shape)).sum(-1) > 0
    if valid.any() and away[valid].mean() > 1 - _FACING:
        log.warning("%s: most normals look away from the camera, they are left out", name)
        return np.zeros_like(valid)
    return np.ones_like(valid)
