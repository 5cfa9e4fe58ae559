"""How long from starting the node's process to its first outputs, with the camera on already."""

from __future__ import annotations

import time

from benchmarks.laboratory import Laboratory
from benchmarks.scenario import CLOUD, IMAGES
from mtpano_model.errors import MtpanoError
from mtpano_model.inference import load_estimator
from mtpano_ros.tools.children import Children
from mtpano_ros.tools.sources import PANORAMAS

CAMERA_SECONDS = 2.0
PATIENCE_SECONDS = 60.0


def measure_startup(laboratory: Laboratory) -> dict[str, float]:
    """Seconds from the start to the first complete set at a subscriber, and to load the engine."""
    began = time.monotonic()
    load_estimator(laboratory.model).close()
    engine = time.monotonic() - began

    system = laboratory.prepare("startup")
    listener = system.remote("benchmarks.listener")
    with Children(system.environment, system.log) as camera:
        camera.start("camera", "mtpano_ros.tools.player", PANORAMAS, "--rate", 20, *system.ros_args)
        time.sleep(CAMERA_SECONDS)
        began = time.monotonic()
        laboratory.launch_ours(system)
        references = laboratory.references((512, 1024), system)
        found = listener.ask(listen=(*IMAGES, CLOUD), references=str(references))
        while listener.ask(count=True) < 1:
            if found != "ready" or time.monotonic() - began > PATIENCE_SECONDS:
                raise MtpanoError(f"the node gave nothing after its start: {system.log.name}")
            time.sleep(0.01)
        seconds = time.monotonic() - began
    listener.close()
    laboratory.stop(system)
    return {"first_frame_s": round(seconds, 2), "engine_load_s": round(engine, 2)}
