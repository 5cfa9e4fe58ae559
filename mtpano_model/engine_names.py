"""The names of engines, the devices of each, and how to install it; no imports.

The choices of commands, node and launch files come from here.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

Backend = Literal["auto", "tensorrt", "openvino", "onnxruntime"]
Device = Literal["auto", "cpu", "cuda", "gpu", "tensorrt"]
Precision = Literal["fp32", "bf16", "fp16"]

BACKEND_CHOICES: tuple[str, ...] = get_args(Backend)
DEVICE_CHOICES: tuple[str, ...] = get_args(Device)
PRECISION_CHOICES: tuple[str, ...] = get_args(Precision)


class EngineName(NamedTuple):
    """module: what must be importable. install: the command that brings it. devices: where it
    runs."""

    module: str
    install: str
    devices: tuple[str, ...]


# Of more, engines and torch make an error of their own, or of the system's.
MOST_THREADS = 1024

ENGINES = {
    "tensorrt": EngineName(
        "tensorrt",
        "pip install tensorrt cuda-bindings (docs/tensorrt.md; JetPack brings it)",
        ("cuda",),
    ),
    "openvino": EngineName("openvino", "pip install openvino", ("cpu", "gpu")),
    "onnxruntime": EngineName(
        "onnxruntime", "pip install onnxruntime", ("cpu", "cuda", "tensorrt")
    ),
}

# What `auto` tries, the fastest first: (backend, device).
PREFERRED = (
    ("tensorrt", "cuda"),
    ("onnxruntime", "cuda"),
    ("openvino", "cpu"),
    ("onnxruntime", "cpu"),
)
