"""Structured3D: `scene_XXXXX/2D_rendering/<room>/panorama/full/{rgb_rawlight,depth,...}.png`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mtpano_model.data import panorama_files as files
from mtpano_model.data.public_data import FileDataset, read_nyu_labels
from mtpano_model.data.sample import Sample
from mtpano_model.errors import MtpanoError

# Scenes whose renderings the authors of the data set withdrew.
BAD_SCENES = frozenset({1155, 1714, 1816, 3398, 1192, 1852})
_FIRST_VAL, _FIRST_TEST = 3000, 3250
_LAYOUT = "scene_XXXXX/2D_rendering/ROOM/panorama/full/{rgb_rawlight,depth,normal,semantic}.png"


class Structured3DDataset(FileDataset):
    """Furnished rooms under raw light, by scene and room.

    Depth: uint16 mm along the ray, 0 none. Normals: x forward, y up, z left ("released_normals" in
    geometry.sphere). Semantics: NYU40 ids 1-40, 0 none, as a grey or a palette PNG.

    Splits: scenes 0-2999 are "train", 3000-3249 "val", 3250-3499 "test".
    """

    own_set = "nyu40"
    layout = _LAYOUT

    @staticmethod
    def find_frames(root: Path, split: str) -> Iterator[files.FrameFiles]:
        for scene in sorted(root.glob("scene_*")):
            number = scene.name.removeprefix("scene_")
            if not number.isdecimal():
                raise MtpanoError(f"{scene} is not a scene of Structured3D: expected {_LAYOUT}")
            if int(number) in BAD_SCENES or split not in ("all", scene_split(int(number))):
                continue
            for room in sorted((scene / "2D_rendering").glob("*")):
                folder = room / "panorama" / "full"
                yield files.FrameFiles(
                    name=f"{scene.name}/{room.name}",
                    image=folder / "rgb_rawlight.png",
                    depth=folder / "depth.png",
                    normals=folder / "normal.png",
                    semseg=folder / "semantic.png",
                )

    def __getitem__(self, index: int) -> Sample:
        frame = self._frames[index]
        depth, normals, semseg = read_nyu_labels(frame, self.size, self._classes)
        image = files.read_rgb(frame.image, self.size)
        return files.make_sample(frame.name, image, depth, normals, semseg)


def scene_split(scene: int) -> str:
    """The split a scene number belongs to."""
    if scene < _FIRST_VAL:
        return "train"
    return "val" if scene < _FIRST_TEST else "test"
