"""TensorRT's real Python module without TensorRT: imported against libraries that hold nothing.

NVIDIA's wheels `tensorrt-cu12-bindings` hold the compiled module alone and link to libnvinfer, the
parser and the plugins, which a machine without a GPU need not have. Libraries of the same names
whose functions return null let the module be imported; its classes, signatures and errors are then
the real ones.

    python real_bindings.py FOLDER      prints what the module in FOLDER has, as JSON
"""

from __future__ import annotations

import csv
import importlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

VERSIONS = {"10.3": "10.3.0", "10.13": "10.13.3.9", "11.4": "11.4.0.106"}
# Where `scripts/fetch_tensorrt_bindings` puts the wheels.
WHEELS = Path(__file__).parents[2] / ".tensorrt-bindings"
_LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")
_FUNCTIONS = """
    createInferBuilder_INTERNAL createInferRefitter_INTERNAL createInferRuntime_INTERNAL
    createNvOnnxParserRefitter_INTERNAL createNvOnnxParser_INTERNAL getBuilderPluginRegistry
    getNvOnnxParserVersion getPluginRegistry initLibNvInferPlugins
"""


def unpack(version: str, folder: Path) -> str:
    """Make the module of `version` importable from `folder`; why it cannot be, "" if it can."""
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    found = sorted(WHEELS.glob(f"tensorrt_cu12_bindings-{VERSIONS[version]}-{tag}-*.whl"))
    if not found:
        return f"no wheel for {tag} in {WHEELS.name}: run scripts/fetch_tensorrt_bindings"
    compiler = shutil.which("cc")
    if compiler is None:
        return "no C compiler to make the libraries with"
    with zipfile.ZipFile(found[0]) as wheel:
        wheel.extractall(folder)
    source = folder / "null.c"
    source.write_text(
        "\n".join(f"void *{name}(void) {{ return 0; }}" for name in _FUNCTIONS.split())
    )
    for name in _LIBRARIES:
        library = f"lib{name}.so.{version.split('.')[0]}"
        target = folder / "tensorrt_bindings" / library
        command = [compiler, "-shared", "-fPIC", f"-Wl,-soname,{library}", "-o", target, source]
        subprocess.run(command, check=True, capture_output=True)
    return ""


def describe(folder: Path) -> dict[str, Any]:
    """What the module in `folder` has, asked in a process of its own."""
    answer = subprocess.run(
        [sys.executable, __file__, folder], check=True, capture_output=True, text=True
    )
    return json.loads(answer.stdout)


def _describe_here(folder: str) -> dict[str, Any]:
    sys.path.insert(0, folder)
    tensorrt = importlib.import_module("tensorrt_bindings")

    from mtpano_model.errors import MtpanoError
    from mtpano_model.inference.engines.progress import BuildMonitor, make_progress_monitor
    from mtpano_model.inference.engines.tensorrt.library import make_logger, start
    from mtpano_model.inference.engines.tensorrt.profile import make_profiler

    with Path(__file__).with_name("tensorrt_names.csv").open(newline="") as file:
        classes = dict.fromkeys(row["class"] for row in csv.DictReader(file))
    names, signatures = {}, {}
    for name in classes:
        kind = tensorrt.ILogger.Severity if name == "Severity" else getattr(tensorrt, name)
        members = getattr(kind, "__members__", None)
        names[name] = sorted(members or (n for n in dir(kind) if not n.startswith("_")))
        for member in () if members else names[name]:
            signatures[f"{name}.{member}"] = getattr(kind, member).__doc__ or ""
    refusals = {}
    logger = make_logger(tensorrt)
    for kind in (tensorrt.Builder, tensorrt.Runtime):
        try:
            start(kind, tensorrt, logger)
        except MtpanoError as error:
            refusals[kind.__name__] = str(error)
    monitor = make_progress_monitor(tensorrt, BuildMonitor())
    monitor.phase_start("phase", None, 2)
    return {
        "version": tensorrt.__version__,
        "names": names,
        "signatures": signatures,
        "refusals": refusals,
        "goes_on": monitor.step_complete("phase", 0),
        "profiles": isinstance(make_profiler(tensorrt), tensorrt.IProfiler),
        "strongly_typed": int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED),
    }


if __name__ == "__main__":
    print(json.dumps(_describe_here(sys.argv[1])))
