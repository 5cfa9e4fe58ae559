"""PanoInfinigen: rendered nature and interiors, in the LMDB shards that its makers publish."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mtpano_model.classes import IGNORE
from mtpano_model.data import panorama_files as files
from mtpano_model.data.public_data import PublicDataset
from mtpano_model.data.sample import Sample
from mtpano_model.errors import MtpanoError, needed_module
from mtpano_model.geometry.sphere import frame_matrix
from mtpano_model.pictures.decode import decode_picture
from mtpano_model.pictures.resize import resize_image

_MAX_DEPTH = 500.0  # metres: what is farther is sky
_LAYOUT = "{indoor,outdoor}/{train,val,test}/shard_NNNNN.lmdb"


class PanoInfinigenDataset(PublicDataset):
    """Views of all scenes: keys `SCENE/VIEW#{rgb,depth,normal}` in `{indoor,outdoor}/SPLIT/*.lmdb`.

    Depth: a .npy of metres along the ray. Normals: a .npy in Structured3D's frame (x forward, y up,
    z left). There are no classes. The shards' own list, index.npy, is a pickle and is not
    read. Needs the library lmdb.
    """

    own_set = "outdoor19"
    license = (
        "PanoInfinigen",
        "BSD-3-Clause, its urban part non-commercial (prs-eth/PanoInfinigen)",
    )

    def _list(self, split: str) -> list[str]:
        self._views: list[tuple[Path, str]] = []
        skipped = 0
        for shard in sorted(self.root.glob(f"*/{'*' if split == 'all' else split}/shard_*.lmdb")):
            with _open(shard).begin() as transaction:
                keys = [key.decode() for key in transaction.cursor().iternext(values=False)]
            whole = [key[: -len("#rgb")] for key in keys if key.endswith("#rgb")]
            complete = [v for v in whole if {f"{v}#depth", f"{v}#normal"} <= set(keys)]
            skipped += len(whole) - len(complete)
            self._views += [(shard, view) for view in complete]
        if not self._views:
            raise MtpanoError(
                f"{self.root} holds no complete view of split '{split}' ({skipped} lack depth or "
                f"normals): expected {_LAYOUT}"
            )
        return [f"{s.parent.parent.name}/{s.stem}/{view}" for s, view in self._views]

    def __getitem__(self, index: int) -> Sample:
        shard, view = self._views[index]
        with _open(shard).begin() as transaction:
            rgb, depth_file, normal_file = (
                bytes(transaction.get(f"{view}#{kind}".encode()))
                for kind in ("rgb", "depth", "normal")
            )
        name = self.names[index]
        try:
            image = decode_picture(rgb).rgb
        except (MtpanoError, ValueError) as error:
            raise MtpanoError(f"view '{name}' of {self.root} is damaged ({error})") from error
        size = self.size or (image.shape[0], image.shape[1])
        depth = files.read_array(depth_file, 2, size, f"depth of '{name}'")
        depth[~((depth > 0) & (depth < _MAX_DEPTH))] = 0
        stored = files.read_array(normal_file, 3, size, f"normals of '{name}'")
        normals = stored @ frame_matrix("released_normals", "optical").T.astype(np.float32)
        length = np.linalg.norm(normals, axis=-1, keepdims=True)
        valid = (length[..., 0] > 0.5) & (depth > 0)
        normals = np.where(valid[..., None], normals / np.maximum(length, 1e-6), 0)
        semseg = np.full(size, IGNORE, np.uint8)
        return files.make_sample(
            name, resize_image(image, size), depth, (normals.astype(np.float32), valid), semseg
        )


def _open(shard: Path) -> Any:
    return _opened(os.getpid(), shard.resolve())


@cache  # a process may open a shard but once, and a forked one has to open its own
def _opened(process: int, shard: Path) -> Any:
    lmdb = needed_module("lmdb", str(shard))
    try:
        return lmdb.open(str(shard), readonly=True, lock=False)
    except lmdb.Error as error:
        raise MtpanoError(f"{shard} cannot be read ({error}): copy it again") from error
