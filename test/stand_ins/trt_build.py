"""The building half of the tensorrt stand-in. Faults: no start, bad graph, no build, no timings."""

from __future__ import annotations

import json
from typing import Any

import onnx

from stand_ins.machine import Machine
from stand_ins.trt_names import Checked, Member, require_logger

PLAN_MAGIC = b"stand-in plan\n"
STEPS = (3, 4)  # of the outer and the inner phase of a pretended build


class Builder(Checked):
    def __init__(self, logger: Any) -> None:
        require_logger(logger)
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
            "detailed": config._detailed,
            "onnx": network._onnx,
        }
        strong = network._flags != 0
        refused = "no build" in machine.faults or (strong and "no strong build" in machine.faults)
        if not self._steps(config._monitor) or refused:
            self._logger.log(self.module.Severity.ERROR, "no implementation for node Conv_1")
            return None
        if config._timings is not None:
            config._timings._data += b"t"
        return HostMemory(write_plan(machine, network._onnx))

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


class HostMemory:
    """Bytes behind the buffer protocol and nothing else."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __bytes__(self) -> bytes:
        return self._data


class INetworkDefinition(Checked):
    _flags = 0
    _onnx = b""


class IBuilderConfig(Checked):
    def __init__(self) -> None:
        self._flags: list[str] = []
        self._workspace: int | None = None
        self._timings: Any = None
        self._monitor: Any = None
        self._level = 3
        self._detailed = False

    def set_flag(self, flag: Member) -> None:
        self._flags.append(flag.label)

    def clear_flag(self, flag: Member) -> None:
        self._flags.append(f"no {flag.label}")

    @property
    def profiling_verbosity(self) -> Any:
        return self.module.ProfilingVerbosity.DETAILED if self._detailed else None

    @profiling_verbosity.setter
    def profiling_verbosity(self, verbosity: Member) -> None:
        self._detailed = verbosity.label == "DETAILED"

    def set_memory_pool_limit(self, pool: Member, size: int) -> None:
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


class ITimingCache(Checked):
    _data = b""

    def serialize(self) -> HostMemory:
        return HostMemory(self._data)


class ParserError(Checked):
    def desc(self) -> str:
        return "No importer registered for op: Attention"


class OnnxParser(Checked):
    def __init__(self, network: Any, logger: Any) -> None:
        require_logger(logger)
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
    return PLAN_MAGIC + json.dumps(facts).encode() + b"\n" + model
