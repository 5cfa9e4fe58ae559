"""Numbers about processes, memory copies, single steps and the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from array import array
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import median_ms
from mtpano_model.inference import Frame
from mtpano_ros.outputs.point_cloud import POINT_STEP, CloudPacker

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# depth float32, normals 3 x float32, labels uint8
IMAGE_BYTES = (4, 12, 1)
# Buffers taken in turn: more than fits into a cache.
SETS = 4


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far, all threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def resident_bytes(pid: int) -> int:
    """Resident memory of a process, shared memory that it has touched included."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def published_bytes(size: tuple[int, int], cloud: bool) -> list[int]:
    """Bytes of every large message that the node sends for outputs of `size` (H, W)."""
    pixels = size[0] * size[1]
    return [pixels * each for each in IMAGE_BYTES + ((POINT_STEP,) if cloud else ())]


def copy_ms(sizes: Sequence[int]) -> float:
    """One memory copy of buffers of these sizes, mapped before but no longer in any cache.

    So it is with a frame's messages: by the time one is filled again, others have passed through.
    """
    sets = [[(np.zeros(n, np.uint8), np.ones(n, np.uint8)) for n in sizes] for _ in range(SETS)]
    turn = cycle(sets)

    def copy() -> None:
        for target, source in next(turn):
            np.copyto(target, source)

    return median_ms(copy, warm_up=SETS)


def pack_ms(frame: Frame, picture: NDArray[np.uint8]) -> float:
    """Packing one cloud into memory that a message carries, mapped but in no cache as above."""
    height, width = frame.size
    buffers = [array("B", bytes(height * width * POINT_STEP)) for _ in range(SETS)]
    turn = cycle(
        (
            np.frombuffer(data, np.float32).reshape(height, width, POINT_STEP // 4),
            Frame(frame.depth.copy(), frame.normals.copy(), frame.labels.copy()),
        )
        for data in buffers
    )
    packer = CloudPacker()

    def pack() -> None:
        out, one = next(turn)
        packer.pack(one, picture, "rgb", out)

    return median_ms(pack, warm_up=SETS)


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    cpu = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES
    packages = ("numpy", "opencv-python-headless", "openvino", "onnxruntime", "torch")
    return {
        "cpu": cpu[0] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "load_before": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "rmw": os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp"),
        "ros": os.environ.get("ROS_DISTRO", "kilted (wheels)"),
        **{name: _version(name) for name in packages},
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
