"""Writes the files of a snapshot: panel_*.png, cloud_*.pcd, summary.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.classes import ClassSet
from mtpano_model.clouds.cloud import Cloud
from mtpano_model.clouds.files import write_pcd
from mtpano_model.drawing.panels import panel
from mtpano_model.inference.frame import Frame
from mtpano_model.pictures.files import write_picture
from mtpano_model.pictures.messages import read_message
from mtpano_model.whole_files import write_json
from mtpano_ros.tools.collector import Collector, FrameSet
from mtpano_ros.tools.reading import cloud_array, depth_metres, image_array

PANEL_TOPICS = ("image", "depth", "normals", "semantic")


def write_set(folder: Path, number: int, frame: FrameSet, classes: ClassSet) -> list[Path]:
    """Write what this set allows: a panel if its four pictures came, a cloud if `points` did."""
    written = []
    messages = frame.messages
    if all(topic in messages for topic in PANEL_TOPICS):
        path = folder / f"panel_{number:03d}.png"
        picture = read_message(messages["image"], allow_non_2to1=True)
        write_picture(path, panel(picture.rgb, frame_of(messages), classes))
        written.append(path)
    if "points" in messages:
        path = folder / f"cloud_{number:03d}.pcd"
        write_pcd(path, cloud_of(messages["points"]))
        written.append(path)
    return written


def frame_of(messages: Mapping[str, Any]) -> Frame:
    """The frame of arrays behind the messages `depth`, `normals` and `semantic`."""
    return Frame(
        depth=depth_metres(messages["depth"]),
        normals=image_array(messages["normals"]),
        labels=image_array(messages["semantic"]),
    )


def cloud_of(message: Any) -> Cloud:
    """The organised cloud behind a PointCloud2 of the node."""
    points = cloud_array(message).ravel()
    return Cloud(
        points=stacked(points, ("x", "y", "z")),
        colors=unpacked_rgb(points["rgb"]),
        normals=stacked(points, ("normal_x", "normal_y", "normal_z")),
        labels=points["label"].astype(np.uint32),
        grid=(message.height, message.width),
    )


def stacked(points: NDArray[Any], names: Sequence[str]) -> NDArray[np.float32]:
    """Fields side by side, [N, len(names)]."""
    return np.stack([points[name] for name in names], axis=-1).astype(np.float32, copy=False)


def unpacked_rgb(packed: NDArray[np.float32]) -> NDArray[np.uint8]:
    """RGB [N, 3] of PCL's packed colour, 0x00RRGGBB in the bits of a float32."""
    bits = packed.astype("<f4", copy=False).view("<u4")
    return np.stack([bits >> 16 & 255, bits >> 8 & 255, bits & 255], axis=-1).astype(np.uint8)


def write_summary(path: Path, collector: Collector, diagnostics: Iterable[Any]) -> None:
    """Counts, latencies and the node's own word, as JSON."""
    summary = {
        "received": dict(collector.received),
        "complete": collector.complete,
        "incomplete": collector.incomplete,
        "latency_ms": {"end_to_end": spread(collector.latencies_ms)},
        "diagnostics": {
            status.name: {"message": status.message, **{v.key: v.value for v in status.values}}
            for status in diagnostics
        },
    }
    write_json(path, summary)


def spread(milliseconds: Sequence[float]) -> dict[str, float] | None:
    """Median and 95th percentile, None of nothing."""
    if not milliseconds:
        return None
    median, p95 = np.percentile(milliseconds, (50, 95))
    return {"median": round(float(median), 2), "p95": round(float(p95), 2)}
