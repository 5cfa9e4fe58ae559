"""A stand-in for cuda.bindings.runtime on host memory.

Work put on a stream is done when the stream is synchronized, not before: whoever reads too early
reads old values. Copies are refused where their memory is not of the kind they name. Faults that it
knows: no driver, no gpu, sticky (every call fails), out of memory, no capture.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import Any

from stand_ins.machine import Machine

cudaError_t = IntEnum(
    "cudaError_t",
    {
        "cudaSuccess": 0,
        "cudaErrorInvalidValue": 1,
        "cudaErrorMemoryAllocation": 2,
        "cudaErrorInsufficientDriver": 35,
        "cudaErrorNoDevice": 100,
        "cudaErrorIllegalAddress": 700,
        "cudaErrorStreamCaptureUnsupported": 900,
    },
)
_OK = cudaError_t.cudaSuccess


class Stream:
    """Work in waiting; while capturing it goes to the graph instead."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self.waiting: list[Callable[[], None]] = []
        self.captured: list[Callable[[], None]] | None = None

    def __int__(self) -> int:
        return self.handle

    def put(self, work: Callable[[], None]) -> None:
        (self.waiting if self.captured is None else self.captured).append(work)


class Graph(list):
    """What a stream captured."""


def make_cuda(machine: Machine) -> ModuleType:
    """The module, acting on `machine`."""
    module = ModuleType("cuda.bindings.runtime")
    functions = _Functions(machine)
    for name in dir(functions):
        if name.startswith("cuda"):
            setattr(module, name, _recorded(machine, name, getattr(functions, name)))
    constants: dict[str, Any] = {
        "cudaError_t": cudaError_t,
        "cudaStreamNonBlocking": 1,
        "cudaDeviceScheduleBlockingSync": 4,
        "cudaDeviceMapHost": 8,
        "cudaHostAllocMapped": 2,
        "cudaMemcpyKind": IntEnum(
            "cudaMemcpyKind", {"cudaMemcpyHostToDevice": 1, "cudaMemcpyDeviceToHost": 2}
        ),
        "cudaStreamCaptureMode": IntEnum(
            "cudaStreamCaptureMode", {"cudaStreamCaptureModeThreadLocal": 1}
        ),
    }
    for name, value in constants.items():
        setattr(module, name, value)
    return module


def _recorded(machine: Machine, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        machine.used.add(f"cuda.{name}")
        machine.count(name)
        if "sticky" in machine.faults:
            return (cudaError_t.cudaErrorIllegalAddress, None)
        return function(*arguments)

    return call


class _Functions:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def cudaGetDeviceCount(self) -> tuple[Any, ...]:
        if "no libcuda" in self.machine.faults:  # cuda-bindings 12.6 and 12.8
            raise RuntimeError("Failed to dlopen libcuda.so.1")
        if "no driver" in self.machine.faults:
            return cudaError_t.cudaErrorInsufficientDriver, None
        if "no gpu" in self.machine.faults:
            return cudaError_t.cudaErrorNoDevice, None
        return _OK, 1

    def cudaDriverGetVersion(self) -> tuple[Any, ...]:
        return _OK, self.machine.cuda_driver

    def cudaRuntimeGetVersion(self) -> tuple[Any, ...]:
        return _OK, self.machine.cuda_runtime

    def cudaGetDeviceProperties(self, device: int) -> tuple[Any, ...]:
        major, minor = self.machine.capability
        return _OK, SimpleNamespace(
            name=self.machine.gpu.encode(),
            major=major,
            minor=minor,
            multiProcessorCount=self.machine.multi_processors,
            totalGlobalMem=self.machine.memory_bytes,
            integrated=int(self.machine.integrated),
        )

    def cudaSetDeviceFlags(self, flags: int) -> tuple[Any, ...]:
        self.machine.device_flags = flags
        return (_OK,)

    def cudaGetLastError(self) -> tuple[Any, ...]:
        self.machine.faults.discard("last error")
        return (_OK,)

    def cudaMalloc(self, size: int) -> tuple[Any, ...]:
        if "out of memory" in self.machine.faults:
            return cudaError_t.cudaErrorMemoryAllocation, None
        return _OK, self.machine.allocate("device", size)

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[Any, ...]:
        assert flags == 2, "memory that is not mapped cannot be used in place"
        return _OK, self.machine.allocate("pinned", size)

    def cudaHostGetDevicePointer(self, address: int, flags: int) -> tuple[Any, ...]:
        assert flags == 0
        assert self.machine.memory[address][0] == "pinned"
        return _OK, address

    def _free(self, kind: str, address: int) -> tuple[Any, ...]:
        assert self.machine.memory[address][0] == kind
        del self.machine.memory[address]
        return (_OK,)

    def cudaFree(self, address: int) -> tuple[Any, ...]:
        return self._free("device", address)

    def cudaFreeHost(self, address: int) -> tuple[Any, ...]:
        return self._free("pinned", address)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, ...]:
        self.machine.count("streams made")
        stream = Stream(self.machine.counts["streams made"])
        self.machine.streams[stream.handle] = stream
        return _OK, stream

    def cudaStreamDestroy(self, stream: Stream) -> tuple[Any, ...]:
        del self.machine.streams[stream.handle]
        return (_OK,)

    def cudaStreamSynchronize(self, stream: Stream) -> tuple[Any, ...]:
        if stream.captured is not None:
            return (cudaError_t.cudaErrorStreamCaptureUnsupported,)
        while stream.waiting:
            stream.waiting.pop(0)()
        return (_OK,)

    def cudaMemcpyAsync(
        self, to: int, source: int, size: int, kind: int, stream: Stream
    ) -> tuple[Any, ...]:
        ends = ("device", "pinned") if kind == 1 else ("pinned", "device")
        self.machine.check_range(ends[0], to, size)
        self.machine.check_range(ends[1], source, size)
        stream.put(lambda: ctypes.memmove(to, source, size))
        return (_OK,)

    def cudaStreamBeginCapture(self, stream: Stream, mode: int) -> tuple[Any, ...]:
        stream.captured = []
        return (_OK,)

    def cudaStreamEndCapture(self, stream: Stream) -> tuple[Any, ...]:
        captured, stream.captured = stream.captured, None
        if "no capture" in self.machine.faults:
            self.machine.faults.add("last error")
            return cudaError_t.cudaErrorStreamCaptureUnsupported, None
        return _OK, Graph(captured or [])

    def cudaGraphInstantiate(self, graph: Graph, flags: int) -> tuple[Any, ...]:
        return _OK, Graph(graph)

    def cudaGraphDestroy(self, graph: Graph) -> tuple[Any, ...]:
        graph.clear()
        return (_OK,)

    def cudaGraphExecDestroy(self, graph: Graph) -> tuple[Any, ...]:
        graph.clear()
        return (_OK,)

    def cudaGraphLaunch(self, graph: Graph, stream: Stream) -> tuple[Any, ...]:
        assert graph, "a destroyed graph was launched"
        for work in graph:
            stream.put(work)
        return (_OK,)
