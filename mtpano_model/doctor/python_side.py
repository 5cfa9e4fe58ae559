"""Python, the machine, and the libraries that everything needs."""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module
from pathlib import Path

from mtpano_model import __version__
from mtpano_model.doctor.finding import Finding, fix, note, ok
from mtpano_model.inference.engines.tensorrt import jetson as jetson_files

OLDEST, NEWEST = (3, 10), (3, 13)


def check() -> list[Finding]:
    """The interpreter, the machine, numpy and OpenCV."""
    return [
        ok(f"mtpano {__version__} in {Path(__file__).parents[1]}"),
        _python(),
        _machine(),
        _library("numpy", "numpy", 'pip install "numpy>=1.26"'),
        _library("cv2", "OpenCV", "pip install opencv-python-headless"),
    ]


def _python() -> Finding:
    version = sys.version_info[:2]
    text = f"Python {platform.python_version()} at {sys.executable}"
    if version < OLDEST:
        return fix(text, "use Python 3.10 to 3.13", essential=True)
    if version > NEWEST:
        return note(f"{text}, newer than the tested 3.10 to 3.13")
    return ok(text)


def _machine() -> Finding:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    jetson = ""
    if jetson_files.is_jetson():
        jetson = f", Jetson {jetson_files.RELEASE.read_text().split(',')[0].strip('# ')}"
        jetson += f", {mode}" if (mode := jetson_files.power_mode()) else ""
    return ok(f"{platform.machine()}, {cores} cores, {memory:.0f} GiB of memory{jetson}")


def _library(module: str, name: str, install: str) -> Finding:
    try:
        library = import_module(module)
    except (ImportError, OSError) as error:
        return fix(f"{name} cannot be imported ({error})", install, essential=True)
    return ok(f"{name} {library.__version__}")
