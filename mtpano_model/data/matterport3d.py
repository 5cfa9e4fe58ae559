"""Matterport3D, stitched: `mp3d_results_panoramas/<scan>` and `mp3d_aligned_labels/<scan>`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mtpano_model.data import panorama_files as files
from mtpano_model.data.public_data import FileDataset, read_nyu_labels
from mtpano_model.data.sample import Sample

# The official split of the 90 scans (61 / 11 / 18); the rest is train.
# fmt: off
VAL_SCANS = frozenset(
    [
        "2azQ1b91cZZ", "8194nk5LbLH", "EU6Fwq7SyZv", "oLBMNvg9in8", "pLe4wQe7qrG",
        "QUCTc6BB5sX", "TbHJrupSAjP", "X7HyMhZNoso", "x8F5xyUWy9e", "Z6MFQCViBuw",
        "zsNo4HB9uLZ",
    ]
)
TEST_SCANS = frozenset(
    [
        "2t7WUuJeko7", "5ZKStnWn8Zo", "ARNzJeq3xxb", "fzynW3qQPVF", "gxdoqLR6rwA",
        "gYvKGZ5eRqb", "jtcxE69GiFV", "pa4otMbVnkk", "q9vSo1VnCiC", "RPmz2sHmrrY",
        "rqfALeAoiTq", "UwV83HsGsw3", "Vt2qJdWjCF2", "wc2JMjhGNzB", "WYY7iVyf5p8",
        "YFuZgdQ5vWj", "yqstnuAEVhm", "YVUC4YcDtcY",
    ]
)
# fmt: on
MAX_DEPTH_M = 10.0
_PANORAMAS, _LABELS, _SUFFIX = "mp3d_results_panoramas", "mp3d_aligned_labels", "_panorama.jpg"
_LAYOUT = (
    f"{_PANORAMAS}/SCAN/VIEWPOINT{_SUFFIX} and "
    f"{_LABELS}/SCAN/{{semantic,depth,normal}}/VIEWPOINT_{{semantic,depth,normal}}.png"
)


class Matterport3DDataset(FileDataset):
    """Stitched panoramas with aligned labels, by scan and viewpoint.

    Depth: uint16 mm along the ray, 0 none, farther than 10 m invalid. Normals: the released frame,
    (128, 128, 128) none. Semantics: NYU40 ids 1-40, 0 none.

    Splits: by scan, into "train", "val" and "test"; the benchmark reports on "test".
    """

    own_set = "nyu40"
    layout = _LAYOUT

    @staticmethod
    def find_frames(root: Path, split: str) -> Iterator[files.FrameFiles]:
        for panorama in sorted((root / _PANORAMAS).glob(f"*/*{_SUFFIX}")):
            scan, viewpoint = panorama.parent.name, panorama.name.removesuffix(_SUFFIX)
            if split not in ("all", scan_split(scan)):
                continue
            labels = root / _LABELS / scan
            yield files.FrameFiles(
                name=f"{scan}/{viewpoint}",
                image=panorama,
                depth=labels / "depth" / f"{viewpoint}_depth.png",
                normals=labels / "normal" / f"{viewpoint}_normal.png",
                semseg=labels / "semantic" / f"{viewpoint}_semantic.png",
            )

    def __getitem__(self, index: int) -> Sample:
        frame = self._frames[index]
        depth, normals, semseg = read_nyu_labels(frame, self.size, self._classes)
        depth[depth > MAX_DEPTH_M] = 0
        image = files.read_rgb(frame.image, semseg.shape)
        return files.make_sample(frame.name, image, depth, normals, semseg)


def scan_split(scan: str) -> str:
    """The split a scan belongs to."""
    if scan in TEST_SCANS:
        return "test"
    return "val" if scan in VAL_SCANS else "train"
