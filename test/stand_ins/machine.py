"""A pretended machine: a GPU, its driver, a TensorRT version, and what is broken about them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Machine:
    """What the stand-ins of tensorrt and cuda-bindings act on and record.

    faults: words that the stand-ins look for (see there). on_step: called at each step of a build,
    may raise. used: every "Class.name" that was touched. memory: what is allocated, by address.
    """

    tensorrt: str = "10.3.0"
    gpu: str = "Orin"
    capability: tuple[int, int] = (8, 7)
    multi_processors: int = 16
    memory_bytes: int = 8 << 30
    integrated: bool = False
    cuda_driver: int = 12060
    cuda_runtime: int = 12060
    faults: set[str] = field(default_factory=set)
    on_step: Callable[[], None] | None = None

    used: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)
    memory: dict[int, tuple[str, ctypes.Array[Any]]] = field(default_factory=dict)
    streams: dict[int, Any] = field(default_factory=dict)
    device_flags: int = 0
    last_build: dict[str, Any] = field(default_factory=dict)

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def allocate(self, kind: str, size: int) -> int:
        buffer = ctypes.create_string_buffer(size)
        address = ctypes.addressof(buffer)
        self.memory[address] = (kind, buffer)
        return address

    def check_range(self, kind: str, address: int, size: int) -> None:
        """AssertionError unless [address, address + size) lies in one allocation of this kind.

        What "device" calls for may be pinned memory where the GPU shares the processor's.
        """
        for begin, (found, buffer) in self.memory.items():
            if begin <= address and address + size <= begin + len(buffer):
                shared = self.integrated and found == "pinned"
                assert found == kind or shared, f"{found} memory where {kind} memory was called for"
                return
        raise AssertionError(f"{size} bytes at {address:#x} are not in any {kind} memory")

    def held(self, kind: str) -> int:
        """How many allocations, streams or graphs of a kind are alive."""
        if kind == "stream":
            return len(self.streams)
        if kind == "graph":
            made = self.counts.get("cudaGraphInstantiate", 0)
            return made - self.counts.get("cudaGraphExecDestroy", 0)
        return sum(found == kind for found, _ in self.memory.values())
