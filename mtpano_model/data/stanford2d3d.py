"""Stanford2D3D: `area_*/pano/{rgb,depth,normal,semantic,pose}/camera_*_domain_*`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import load_class_set
from mtpano_model.clouds.files import packed_rgb
from mtpano_model.data import panorama_files as files
from mtpano_model.data.public_data import FileDataset
from mtpano_model.data.sample import Sample
from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.geometry import sphere
from mtpano_model.pictures.normals import decode_normals
from mtpano_model.stored_files import parse_json

logger = logging.getLogger(__name__)

VAL_AREAS = frozenset({"area_5a", "area_5b"})  # fold 1
_AREAS = ("area_1", "area_2", "area_3", "area_4", "area_5a", "area_5b", "area_6")
_UNITS_PER_METRE, _NO_DEPTH = 512, 65535
_SUFFIX = "_rgb.png"
_LAYOUT = (
    "area_*/pano/{rgb,depth,normal,semantic,pose}/camera_UUID_ROOM_N_frame_equirectangular_domain_"
    "{rgb,depth,normals,semantic,pose}.{png,json}"
)


class Stanford2D3DDataset(FileDataset):
    """Offices scanned with a Matterport camera, by area and camera.

    Depth: uint16, 1/512 m along the ray, 65535 missing. Normals: global axes, turned into the
    camera's by the rotation of `camera_rt_matrix`, which maps world to camera. Semantics: RGB as a
    24-bit index into `assets/semantic_labels.json`; indices beyond it (#0D0D0D) are unlabelled.

    Splits: fold 1, areas 5a and 5b are "val", the others "train".
    """

    own_set = "stanford13"
    layout = _LAYOUT

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._instances = _classes_of_instances(self.root)

    @staticmethod
    def find_frames(root: Path, split: str) -> Iterator[files.FrameFiles]:
        for area in _AREAS:
            if split != "all" and (area in VAL_AREAS) != (split == "val"):
                continue
            pano = root / area / "pano"
            for image in sorted((pano / "rgb").glob(f"camera_*{_SUFFIX}")):
                stem = image.name.removesuffix(_SUFFIX)
                yield files.FrameFiles(
                    name=f"{area}/{stem.removesuffix('_frame_equirectangular_domain')}",
                    image=image,
                    depth=pano / "depth" / f"{stem}_depth.png",
                    normals=pano / "normal" / f"{stem}_normals.png",
                    semseg=pano / "semantic" / f"{stem}_semantic.png",
                    pose=pano / "pose" / f"{stem}_pose.json",
                )

    def __getitem__(self, index: int) -> Sample:
        frame = self._frames[index]
        assert frame.normals is not None
        assert frame.semseg is not None
        assert frame.pose is not None
        depth = files.read_label(frame.depth, self.size, 1)
        metres = np.where(depth == _NO_DEPTH, 0, depth).astype(np.float32) / _UNITS_PER_METRE
        stored = files.read_label(frame.normals, self.size, 3)
        normals = decode_normals(stored, _camera_from_world(frame.pose))
        _warn_unless_facing(frame.name, *normals)
        instance = packed_rgb(files.read_label(frame.semseg, self.size, 3))
        known = instance < len(self._instances)
        own = np.where(known, self._instances[np.where(known, instance, 0)], -1)
        semseg = self._classes(own, frame.semseg)
        image = files.read_rgb(frame.image, self.size)
        return files.make_sample(frame.name, image, metres, normals, semseg)


def _classes_of_instances(root: Path) -> NDArray[np.int32]:
    """Class id by index into semantic_labels.json, -1 for names outside the 13 classes."""
    path = root / "assets" / "semantic_labels.json"
    try:
        entries = parse_json(path.read_text(encoding="utf-8"))
        names = [entry.split("_")[0] for entry in entries]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise MtpanoError(
            f"{path} cannot be read as a list of instance names ({error}): copy it from the assets "
            "of the 2D-3D-Semantics data set"
        ) from error
    ids = {name: i for i, name in enumerate(load_class_set("stanford13").names)}
    return np.array([ids.get(name, -1) for name in names], np.int32)


def _camera_from_world(path: Path) -> NDArray[np.float64]:
    """3x3 rotation world -> camera (x right, y down, z forward) of a pose file."""
    try:
        pose = parse_json(path.read_text(encoding="utf-8"))
        rotation = np.array(pose["camera_rt_matrix"], np.float64)[:3, :3]
        orthogonal = np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise MtpanoError(
            f"{path} has no usable camera_rt_matrix ({one_line(error)}): it is "
            "damaged or half-written, copy it again"
        ) from error
    if not orthogonal:
        raise MtpanoError(f"{path} has a camera_rt_matrix that is no rotation: copy it again")
    return rotation


def _warn_unless_facing(name: str, normals: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
    """Surfaces that are seen face the camera; if most do not, pose and normals disagree."""
    facing = (normals * sphere.rays(*valid.shape)).sum(-1) < 0
    if valid.any() and facing[valid].mean() < 0.5:
        logger.warning(
            "%s: only %.0f %% of the normals face the camera after rotation by its pose",
            name,
            100 * facing[valid].mean(),
        )
