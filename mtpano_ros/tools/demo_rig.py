"""`demo --rig`: the same panoramas stitched, as two raw fisheyes, and as two H.264 streams."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_ros.tools.lenses import TYPES, demo_rig, write_rig

# Name of the executable that plays, and its arguments.
Camera = tuple[str, Sequence[object]]
# (arguments of the demo, camera, further arguments of the node) -> exit status
Chain = Callable[[Any, Camera, Sequence[object]], int]
STITCHED = "stitched"


def rig_demo(args: Any, chain: Chain) -> int:
    """Run the chain for every form, each into a folder of its own, and compare the clouds."""
    args.out.mkdir(parents=True, exist_ok=True)
    rig = args.out / "rig.yaml"
    write_rig(rig)
    common = [args.input, "--frames", args.frames, "--rate", args.rate, "--timeout",
              2 * args.timeout]  # fmt: skip
    runs: dict[str, tuple[Camera, list[object]]] = {
        STITCHED: (("player", [*common, "--wait-for-subscribers", 2]), [])
    }
    for form in TYPES:
        if form != "raw" and find_spec("av") is None:
            how = f"{sys.executable} -m pip install av"
            print(f"demo: {form} is left out, since it needs PyAV: {how}", flush=True)
            continue
        playing = [*common, "--wait-for-subscribers", 1, "--form", form]
        runs[form] = ("lenses", playing), ["-p", f"rig:={rig.resolve()}"]
    for form, (camera, options) in runs.items():
        print(f"demo: {form}", flush=True)
        status = chain(replace(args, out=args.out / form), camera, options)
        if status:
            return status
    names = ", ".join(lens.name for lens in demo_rig().lenses)
    print(f"demo: the lenses {names} of {rig.resolve()} beside the stitched panorama:")
    for form in runs:
        if form != STITCHED:
            apart = median_difference(args.out / STITCHED, args.out / form)
            print(f"      {form:<12} depth differs by {100 * apart:.2f} % (median)")
    return 0


def median_difference(stitched: Path, made: Path) -> float:
    """Median share by which depths of clouds differ, over all clouds and their pixels.

    A cloud belongs to the stitched one that it is nearest to: images may have been dropped.
    """
    expected = [depth_of_cloud(path) for path in sorted(stitched.glob("cloud_*.pcd"))]
    found = []
    for path in sorted(made.glob("cloud_*.pcd")):
        depth = depth_of_cloud(path)
        found.append(min(float(np.nanmedian(np.abs(depth / one - 1))) for one in expected))
    if not found:
        raise MtpanoError(f"no cloud was written to {made}: see the messages above")
    return float(np.median(found))


def depth_of_cloud(path: Path) -> NDArray[np.float32]:
    """Metres from the camera of every point of a PCD that the snapshot has written, [n]."""
    _, _, words = path.read_bytes().partition(b"DATA binary\n")
    points = np.frombuffer(words, "<f4").reshape(-1, 8)[:, :3]
    depth: NDArray[np.float32] = np.linalg.norm(points, axis=1)
    return depth
