"""A recording stand-in for tensorrt with the names of one version, run by ONNX Runtime.

`tensorrt_names.csv` lists the public names of the classes we touch in 10.3 and in 11.4 (10.3: the
binding sources of the v10.3.0 release; 11.4: those of v11.1, less what the 11.4 documentation lists
as removed). A name that the chosen version lacks raises AttributeError, as the library does; one
that it has but that nobody taught the stand-in raises AssertionError. Faults that it knows: no
start, bad graph, no build, no context, no enqueue, no timings.
"""

from __future__ import annotations

import csv
import ctypes
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from stand_ins.machine import Machine

_MAGIC = b"stand-in plan\n"
_TYPES = {np.float32: "FLOAT", np.float16: "HALF", np.uint8: "UINT8"}
_ORT_TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(float16)": np.float16}
STEPS = (3, 4)  # of the outer and the inner phase of a pretended build


def names(version: str) -> dict[str, set[str]]:
    """Class -> its names in "10.3" or "11.4"."""
    found: dict[str, set[str]] = {}
    with (Path(__file__).parent / "tensorrt_names.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row[version] == "yes":
                found.setdefault(row["class"], set()).add(row["name"])
    return found


def make_tensorrt(machine: Machine) -> ModuleType:
    """The module for `machine.tensorrt` (names of 10.3 below 11, of 11.4 from there on)."""
    known = names("10.3" if int(machine.tensorrt.split(".")[0]) < 11 else "11.4")
    module = ModuleType("tensorrt")
    module.__version__ = machine.tensorrt  # type: ignore[attr-defined]
    module.machine = machine  # type: ignore[attr-defined]
    for kind in (
        "Severity",
        "BuilderFlag",
        "MemoryPoolType",
        "NetworkDefinitionCreationFlag",
        "TensorIOMode",
        "DataType",
    ):
        setattr(module, kind, _Enumeration(kind, known[kind], machine))
    for kind in (
        _ILogger,
        _IProgressMonitor,
        _Builder,
        _INetworkDefinition,
        _IBuilderConfig,
        _OnnxParser,
        _ParserError,
        _ITimingCache,
        _Runtime,
        _ICudaEngine,
        _IExecutionContext,
    ):
        name = kind.__name__[1:]
        members = {"known": known[name], "machine": machine, "module": module, "kind": name}
        setattr(module, name, type(name, (kind,), members))
    module.ILogger.Severity = module.Severity
    return module


class _Member(int):
    """One value of an enumeration."""

    label: str


class _Enumeration:
    def __init__(self, kind: str, known: set[str], machine: Machine) -> None:
        self._kind, self._machine = kind, machine
        self._members = {}
        for value, name in enumerate(sorted(known)):
            member = _Member(value)
            member.label = name
            self._members[name] = member

    def __getattr__(self, name: str) -> _Member:
        if name not in self._members:
            raise AttributeError(f"{self._kind} has no {name} in {self._machine.tensorrt}")
        self._machine.used.add(f"{self._kind}.{name}")
        return self._members[name]


def _is_ours(kind: type) -> bool:
    """A subclass written by the code under test: it may have names of its own."""
    return kind.__name__ != kind.kind  # type: ignore[attr-defined]


class _Checked:
    """Lets through only the names of the version, and records them."""

    known: set[str]
    machine: Machine
    module: Any
    kind: str

    def __getattribute__(self, name: str) -> Any:
        cls = object.__getattribute__(self, "__class__")
        if not name.startswith("_") and name not in ("known", "machine", "module", "kind"):
            if name in cls.known:
                cls.machine.used.add(f"{cls.kind}.{name}")
            elif not _is_ours(cls):
                raise AttributeError(f"{cls.kind} has no {name} in {cls.machine.tensorrt}")
        return object.__getattribute__(self, name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or _is_ours(type(self)) or name not in self.known:
            raise AttributeError(f"{self.kind} has no {name} in {self.machine.tensorrt}")
        raise AssertionError(f"{self.kind}.{name} exists, but the stand-in cannot do it")

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and not _is_ours(type(self)):
            if name not in self.known:
                raise AttributeError(f"{self.kind} has no {name} in {self.machine.tensorrt}")
            self.machine.used.add(f"{self.kind}.{name}")
        object.__setattr__(self, name, value)


class _ILogger(_Checked):
    def __init__(self) -> None:
        self._made = True


class _IProgressMonitor(_Checked):
    def __init__(self) -> None:
        self._made = True


def _require_logger(logger: Any) -> None:
    if not getattr(logger, "_made", False):
        raise TypeError("ILogger.__init__() must be called when overriding __init__")


class _Builder(_Checked):
    def __init__(self, logger: Any) -> None:
        _require_logger(logger)
        if "no start" in self.machine.faults:
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._logger = logger

    def create_network(self, flags: int = 0) -> Any:
        network = self.module.INetworkDefinition()
        network._flags = flags
        return network

    def create_builder_config(self) -> Any:
        return self.module.IBuilderConfig()

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        machine = self.machine
        machine.count("builds")
        machine.last_build = {
            "network_flags": network._flags,
            "flags": set(config._flags),
            "workspace": config._workspace,
            "level": config._level,
            "timings": config._timings,
            "onnx": network._onnx,
        }
        if not self._steps(config._monitor) or "no build" in machine.faults:
            self._logger.log(self.module.Severity.ERROR, "no implementation for node Conv_1")
            return None
        if config._timings is not None:
            config._timings._data += b"t"
        return _HostMemory(write_plan(machine, network._onnx))

    def _steps(self, monitor: Any) -> bool:
        if monitor is None:
            return True
        outer, inner = STEPS
        monitor.phase_start("Building engine", None, outer)
        for i in range(outer):
            monitor.phase_start("Timing kernels", "Building engine", inner)
            for j in range(inner):
                if self.machine.on_step is not None:
                    self.machine.on_step()
                if not monitor.step_complete("Timing kernels", j):
                    return False
            monitor.phase_finish("Timing kernels")
            if not monitor.step_complete("Building engine", i):
                return False
        monitor.phase_finish("Building engine")
        return True


class _HostMemory:
    """Bytes behind the buffer protocol and nothing else."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __bytes__(self) -> bytes:
        return self._data


class _INetworkDefinition(_Checked):
    _flags = 0
    _onnx = b""


class _IBuilderConfig(_Checked):
    def __init__(self) -> None:
        self._flags: list[str] = []
        self._workspace: int | None = None
        self._timings: Any = None
        self._monitor: Any = None
        self._level = 3

    def set_flag(self, flag: _Member) -> None:
        self._flags.append(flag.label)

    def set_memory_pool_limit(self, pool: _Member, size: int) -> None:
        assert pool.label == "WORKSPACE"
        self._workspace = size

    @property
    def builder_optimization_level(self) -> int:
        return self._level

    @builder_optimization_level.setter
    def builder_optimization_level(self, level: int) -> None:
        self._level = level

    @property
    def progress_monitor(self) -> Any:
        return self._monitor

    @progress_monitor.setter
    def progress_monitor(self, monitor: Any) -> None:
        assert isinstance(monitor, self.module.IProgressMonitor)
        assert monitor._made
        self._monitor = monitor

    def create_timing_cache(self, data: bytes) -> Any:
        cache = self.module.ITimingCache()
        cache._data = bytes(data)
        return cache

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        if cache._data and ("no timings" in self.machine.faults or cache._data.strip(b"t")):
            return False
        self._timings = cache
        return True


class _ITimingCache(_Checked):
    _data = b""

    def serialize(self) -> _HostMemory:
        return _HostMemory(self._data)


class _ParserError(_Checked):
    def desc(self) -> str:
        return "No importer registered for op: Attention"


class _OnnxParser(_Checked):
    def __init__(self, network: Any, logger: Any) -> None:
        _require_logger(logger)
        self._network = network

    def parse_from_file(self, path: str) -> bool:
        if "bad graph" in self.machine.faults:
            return False
        self._network._onnx = onnx.load(path).SerializeToString()
        return True

    @property
    def num_errors(self) -> int:
        return int("bad graph" in self.machine.faults)

    def get_error(self, index: int) -> Any:
        return self.module.ParserError()


def write_plan(machine: Machine, model: bytes) -> bytes:
    """Engine bytes that deserialize on `machine` and nowhere else."""
    facts = {"tensorrt": machine.tensorrt, "gpu": machine.gpu, "bytes": len(model)}
    return _MAGIC + json.dumps(facts).encode() + b"\n" + model


class _Runtime(_Checked):
    def __init__(self, logger: Any) -> None:
        _require_logger(logger)
        if "no start" in self.machine.faults:
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._logger = logger

    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        machine = self.machine
        machine.count("deserialized")
        head, _, rest = plan.removeprefix(_MAGIC).partition(b"\n")
        reason = ""
        if not plan.startswith(_MAGIC):
            reason = "magicTag mismatch"
        elif json.loads(head) != {
            "tensorrt": machine.tensorrt,
            "gpu": machine.gpu,
            "bytes": len(rest),
        }:
            reason = "the engine was made by another version or for another device"
        if reason:
            self._logger.log(self.module.Severity.ERROR, f"deserializeCudaEngine: {reason}")
            return None
        engine = self.module.ICudaEngine()
        engine._open(rest)
        return engine


class _ICudaEngine(_Checked):
    _session: ort.InferenceSession

    def _open(self, model: bytes) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self._inputs = [tensor.name for tensor in inputs]
        self._io = {t.name: (_ORT_TYPES[t.type], tuple(t.shape)) for t in (*inputs, *outputs)}

    @property
    def num_io_tensors(self) -> int:
        return len(self._io)

    def get_tensor_name(self, index: int) -> str:
        return list(self._io)[index]

    def get_tensor_mode(self, name: str) -> _Member:
        modes = self.module.TensorIOMode
        return modes.INPUT if name in self._inputs else modes.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._io[name][1]

    def get_tensor_dtype(self, name: str) -> _Member:
        return getattr(self.module.DataType, _TYPES[self._io[name][0]])

    def create_execution_context(self) -> Any:
        if "no context" in self.machine.faults:
            return None
        context = self.module.IExecutionContext()
        context._engine = self
        return context


class _IExecutionContext(_Checked):
    _engine: Any

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        return self._engine._io[name][1] == tuple(shape)

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert isinstance(address, int)
        if not hasattr(self, "_addresses"):
            self._addresses: dict[str, int] = {}
        dtype, shape = self._engine._io[name]
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self.machine.check_range("device", address, size)
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        assert isinstance(stream_handle, int)
        assert set(self._addresses) == set(self._engine._io)
        if "no enqueue" in self.machine.faults:
            return False
        self.machine.count("enqueued")
        self.machine.streams[stream_handle].put(self._execute)
        return True

    def _execute(self) -> None:
        session = self._engine._session
        feeds = {name: self._view(name) for name in self._engine._inputs}
        names = [name for name in self._engine._io if name not in feeds]
        for name, value in zip(names, session.run(names, feeds), strict=True):
            self._view(name)[...] = value

    def _view(self, name: str) -> Any:
        dtype, shape = self._engine._io[name]
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        raw = (ctypes.c_uint8 * size).from_address(self._addresses[name])
        return np.frombuffer(raw, dtype).reshape(shape)
