"""PanoCARLA-Static: drives through the towns of CARLA, in the files that its recorder writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mtpano_model.classes import IGNORE
from mtpano_model.data import panorama_files as files
from mtpano_model.data.public_data import FileDataset
from mtpano_model.data.sample import Sample

# Class of outdoor19 for each semantic tag of CARLA 0.9.14 and later, which follow Cityscapes.
# What Cityscapes does not train on (static, dynamic, other, water, ground, bridge, rails) is none.
_NONE = IGNORE
_FROM_TAG = np.array(
    [_NONE, *range(19), _NONE, _NONE, _NONE, _NONE, 0, _NONE, _NONE, _NONE, 4], np.uint8
)
_TAGS = len(_FROM_TAG)
_VAL, _TEST = ("town03",), ("town07",)
_MAX_DEPTH = 1000.0  # metres: CARLA's far plane, where there is sky


class PanoCarlaDataset(FileDataset):
    """Frames of all routes below a folder, `.../ROUTE/panorama_{rgb,depth_npy,segmentation}/`.

    Depth: float metres along the ray. Semantics: CARLA's tags, turned into outdoor19. There are no
    normals. Splits: the routes whose path names town03 are "val", town07 "test", others "train"
    (ours: the publishers name none).
    """

    own_set = "outdoor19"
    license = ("PanoCARLA-Static", "CC BY 4.0 (huggingface.co/datasets/Soon122/PanoCARLA-Static)")
    layout = "ROUTE/panorama_rgb/FRAME.png, panorama_depth_npy/FRAME.npy, panorama_segmentation/"

    @staticmethod
    def find_frames(root: Path, split: str) -> Iterator[files.FrameFiles]:
        for folder in sorted(root.rglob("panorama_rgb")):
            route = folder.parent
            name = route.relative_to(root).as_posix()
            if split not in ("all", route_split(f"{root.name}/{name}")):
                continue
            for image in sorted(folder.glob("*.png")):
                yield files.FrameFiles(
                    name=f"{name}/{image.stem}",
                    image=image,
                    depth=route / "panorama_depth_npy" / f"{image.stem}.npy",
                    semseg=route / "panorama_segmentation" / image.name,
                )

    def __getitem__(self, index: int) -> Sample:
        frame = self._frames[index]
        assert frame.semseg is not None
        depth = files.read_array(frame.depth, 2, self.size)
        depth[~((depth > 0) & (depth < _MAX_DEPTH))] = 0
        tags = files.read_label(frame.semseg, self.size, 1).astype(np.int32)
        known = np.where(tags < _TAGS, tags, 0)
        ids = np.where(_FROM_TAG[known] == IGNORE, -1, _FROM_TAG[known].astype(np.int32))
        semseg = self._classes(ids, frame.semseg)
        image = files.read_rgb(frame.image, self.size)
        return files.make_sample(frame.name, image, depth, files.no_normals(depth.shape), semseg)


def route_split(path: str) -> str:
    """The split that a route's path belongs to."""
    path = path.lower()
    if any(town in path for town in _TEST):
        return "test"
    return "val" if any(town in path for town in _VAL) else "train"
