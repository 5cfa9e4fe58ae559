"""ZüriPano: panoramas of Zürich with lidar depth, a test set, as the hub's parquet files."""

from __future__ import annotations

from typing import Any

import numpy as np

from mtpano_model.classes import IGNORE
from mtpano_model.data import panorama_files as files
from mtpano_model.data.parquet_rows import ParquetRows, cell_bytes
from mtpano_model.data.public_data import PublicDataset
from mtpano_model.data.sample import Sample
from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.decode import decode_picture, decode_stored
from mtpano_model.pictures.resize import resize_image, resize_nearest

_METRES = 200 / 65535  # a unit of its 16-bit depth
_COLUMNS = ["id", "rgb", "depth", "mask"]


class ZuriPanoDataset(PublicDataset):
    """`data/test-*.parquet`, rows of id, rgb, depth (uint16, 0 to 200 m along the ray) and mask.

    split: "test" or "all"; it has no other. There are neither normals nor classes. Needs pyarrow.
    """

    own_set = "outdoor19"
    license = ("ZüriPano", "CC BY 4.0 (huggingface.co/datasets/prs-eth/ZuriPano)")

    def _list(self, split: str) -> list[str]:
        paths = sorted(self.root.rglob("test-*.parquet")) if split in ("all", "test") else []
        if not paths:
            raise MtpanoError(
                f"{self.root} holds no panorama of split '{split}': expected data/test-*.parquet "
                "of prs-eth/ZuriPano, which is a test set alone"
            )
        self._rows = ParquetRows(paths, _COLUMNS, "ZüriPano")
        return [str(name).strip().replace(" ", "_") for name in self._rows.column("id")]

    def __getitem__(self, index: int) -> Sample:
        row, name = self._rows[index], self.names[index]
        try:
            rgb = decode_picture(cell_bytes(row["rgb"])).rgb
            stored, mask = (decode_stored(cell_bytes(row[key])) for key in ("depth", "mask"))
        except (MtpanoError, ValueError) as error:
            raise MtpanoError(f"panorama '{name}' of {self.root} is damaged ({error})") from error
        size = self.size or stored.shape[:2]
        depth, seen = (resize_nearest(np.ascontiguousarray(a), size) for a in (stored, mask))
        depth = np.where(_one(seen) > 0, depth.astype(np.float32) * np.float32(_METRES), 0)
        semseg = np.full(size, IGNORE, np.uint8)
        image = resize_image(rgb, size)
        return files.make_sample(name, image, depth, files.no_normals(size), semseg)


def _one(mask: Any) -> Any:
    return mask if mask.ndim == 2 else mask.max(-1)
