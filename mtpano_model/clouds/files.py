"""Write clouds as PLY and PCD, binary, the way CloudCompare, MeshLab, Open3D and PCL read them.

PLY after Turk's "The PLY Polygon File Format"; PCD v0.7 after the Point Cloud Library's file
format page. Both little endian, coordinates in the optical frame: x right, y down, z forward.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtpano_model.clouds.cloud import Cloud
from mtpano_model.whole_files import write_whole

_FRAME_NOTE = "optical frame: x right, y down, z forward, metres"
_PLY_RECORD = np.dtype(
    [
        *((name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")),
        *((name, "u1") for name in ("red", "green", "blue")),
        ("label", "<i4"),
    ]
)
_PLY_TYPES = {"<f4": "float", "|u1": "uchar", "<i4": "int"}
_PCD_FIELDS = ("x", "y", "z", "rgb", "normal_x", "normal_y", "normal_z", "label")


def write_ply(path: Path, cloud: Cloud) -> None:
    """Write the points that have a surface, since PLY has no convention for missing points.

    Unknown normals are written as zero vectors, because some viewers cannot read NaN.
    """
    cloud = cloud.finite()
    records = np.empty(len(cloud), _PLY_RECORD)
    normals = np.nan_to_num(cloud.normals)
    for axis, name in enumerate("xyz"):
        records[name] = cloud.points[:, axis]
        records[f"n{name}"] = normals[:, axis]
    for channel, name in enumerate(("red", "green", "blue")):
        records[name] = cloud.colors[:, channel]
    records["label"] = cloud.labels
    properties = [
        f"property {_PLY_TYPES[_PLY_RECORD[name].str]} {name}" for name in _PLY_RECORD.names or ()
    ]
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment {_FRAME_NOTE}",
        f"element vertex {len(records)}",
        *properties,
        "end_header",
    ]
    write_whole(path, "\n".join([*header, ""]).encode("ascii"), records.tobytes())


def write_pcd(path: Path, cloud: Cloud) -> None:
    """Write every point, organised if the cloud is; points without a surface are NaN.

    The colour is packed as PCL does: 0x00RRGGBB in the bits of a float32.
    """
    height, width = cloud.grid or (1, len(cloud))
    words = np.empty((len(cloud), len(_PCD_FIELDS)), "<u4")
    floats = words.view("<f4")
    floats[:, 0:3] = cloud.points
    words[:, 3] = packed_rgb(cloud.colors)
    floats[:, 4:7] = cloud.normals
    words[:, 7] = cloud.labels
    header = [
        "# .PCD v0.7 - Point Cloud Data file format",
        f"# {_FRAME_NOTE}",
        "VERSION 0.7",
        f"FIELDS {' '.join(_PCD_FIELDS)}",
        "SIZE 4 4 4 4 4 4 4 4",
        "TYPE F F F F F F F U",
        "COUNT 1 1 1 1 1 1 1 1",
        f"WIDTH {width}",
        f"HEIGHT {height}",
        "VIEWPOINT 0 0 0 1 0 0 0",
        f"POINTS {len(cloud)}",
        "DATA binary",
    ]
    write_whole(path, "\n".join([*header, ""]).encode("ascii"), words.tobytes())


def packed_rgb(colors: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """RGB [..., 3] -> 0x00RRGGBB [...]."""
    red, green, blue = np.moveaxis(colors.astype(np.uint32), -1, 0)
    return red << 16 | green << 8 | blue


WRITERS = {"ply": write_ply, "pcd": write_pcd}
