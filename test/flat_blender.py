"""Stands in for `blender_side`: the same requests and replies, a world of one endless floor."""

import json
import sys
import time
from pathlib import Path

import numpy as np


def answer(request):
    """Truth and a grey picture of the floor z = 0 under an open sky."""
    if request["do"] == "open":
        scene = json.loads((Path(request["folder"]) / "scene.json").read_text())
        answer.size = request["size"]
        if not scene["groups"]:
            raise ValueError("the scene has no surfaces")
        return
    height, width = answer.size
    lon = ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
    lat = (0.5 - (np.arange(height) + 0.5) / height)[:, None] * np.pi
    ray = np.stack(
        (np.cos(lat) * np.sin(lon), -np.sin(lat) + 0 * lon, np.cos(lat) * np.cos(lon)), -1
    )
    view = request["view"]
    up = (ray @ np.array(view["world_from_camera"]).T)[..., 2]
    if request["do"] == "truth":
        depth = np.where(up < -1e-3, view["position"][2] / -np.minimum(up, -1e-3), 1e10)
        floor = depth < 1000
        normal = np.where(floor[..., None], (0.0, 0.0, 1.0), 0.0)
        np.savez(
            request["file"], depth=depth, normal=normal, label=np.where(floor, 2, 0).astype("u1")
        )
    else:
        time.sleep(0.01)
        np.savez(request["file"], rgb=np.full((height, width, 3), 0.2))


for line in sys.stdin:
    try:
        answer(json.loads(line))
        print("{}", flush=True)
    except Exception as error:
        print(json.dumps({"error": str(error)}), flush=True)
