"""A recording stand-in for tensorrt with the names of one version, run by ONNX Runtime.

`tensorrt_names.csv` lists the public names of the classes we touch in 10.3.0, 10.13.3.9 and
11.4.0.106, read from NVIDIA's own modules (test_tensorrt_bindings.py compares them).
"""

from __future__ import annotations

from types import ModuleType

from stand_ins import trt_build, trt_run
from stand_ins.machine import Machine
from stand_ins.trt_names import Enumeration, ILogger, IProfiler, IProgressMonitor, names

_ENUMERATIONS = (
    "Severity",
    "BuilderFlag",
    "ProfilingVerbosity",
    "LayerInformationFormat",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "TensorIOMode",
    "DataType",
)
_CLASSES = (
    ILogger,
    IProgressMonitor,
    IProfiler,
    trt_build.Builder,
    trt_build.INetworkDefinition,
    trt_build.IBuilderConfig,
    trt_build.OnnxParser,
    trt_build.ParserError,
    trt_build.ITimingCache,
    trt_run.Runtime,
    trt_run.ICudaEngine,
    trt_run.EngineInspector,
    trt_run.IExecutionContext,
)


def make_tensorrt(machine: Machine) -> ModuleType:
    """The module for `machine.tensorrt` (names of 10.3 below 11, of 11.4 from there on)."""
    known = names("10.3" if int(machine.tensorrt.split(".")[0]) < 11 else "11.4")
    module = ModuleType("tensorrt")
    module.__version__ = machine.tensorrt  # type: ignore[attr-defined]
    for kind in _ENUMERATIONS:
        setattr(module, kind, Enumeration(kind, known[kind], machine))
    for base in _CLASSES:
        name = base.__name__
        members = {"known": known[name], "machine": machine, "module": module, "kind": name}
        setattr(module, name, type(name, (base,), members))
    module.ILogger.Severity = module.Severity
    return module
