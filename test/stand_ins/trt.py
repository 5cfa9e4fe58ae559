"""A recording stand-in for tensorrt with the names of one version, run by ONNX Runtime.

`tensorrt_names.csv` lists the public names of the classes we touch in 10.3 and in 11.4 (10.3: the
binding sources of the v10.3.0 release; 11.4: those of v11.1, less what the 11.4 documentation lists
as removed).
"""

from __future__ import annotations

from types import ModuleType

from stand_ins import trt_build, trt_run
from stand_ins.machine import Machine
from stand_ins.trt_names import Enumeration, ILogger, IProgressMonitor, names

_ENUMERATIONS = (
    "Severity",
    "BuilderFlag",
    "MemoryPoolType",
    "NetworkDefinitionCreationFlag",
    "TensorIOMode",
    "DataType",
)
_CLASSES = (
    ILogger,
    IProgressMonitor,
    trt_build.Builder,
    trt_build.INetworkDefinition,
    trt_build.IBuilderConfig,
    trt_build.OnnxParser,
    trt_build.ParserError,
    trt_build.ITimingCache,
    trt_run.Runtime,
    trt_run.ICudaEngine,
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
