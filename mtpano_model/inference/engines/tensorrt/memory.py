"""CUDA calls that raise, memory that frees itself, and one stream, through cuda-bindings."""

from __future__ import annotations

import ctypes
import logging
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)


class CudaError(RuntimeError):
    """A CUDA call failed; after most of them the process has to be restarted."""


class Cuda:
    """The CUDA runtime with errors as exceptions."""

    def __init__(self, runtime: Any) -> None:
        self.runtime = runtime

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a runtime function; returns its value, a tuple of several, None for none."""
        status, *values = getattr(self.runtime, name)(*arguments)
        if int(status) != 0:
            raise CudaError(f"{name} failed with {status.name} ({int(status)})")
        if len(values) < 2:
            return values[0] if values else None
        return tuple(values)

    def release(self, name: str, handle: Any) -> None:
        """Call a function that frees; at exit or after a fault the driver may be gone already."""
        try:
            self.call(name, handle)
        except CudaError as error:
            log.debug("%s", error)

    def allocate(self, size: int) -> int:
        """Address of `size` bytes on the GPU."""
        return int(self.call("cudaMalloc", size))

    def pinned(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """A zeroed host array that the GPU copies from and to without a detour.

        The memory lives as long as any view of the array.
        """
        return np.asarray(_PinnedMemory(self, shape, np.dtype(dtype)))

    def seen_by_gpu(self, array: NDArray[Any]) -> int:
        """Where a GPU that shares the processor's memory finds a `pinned` array."""
        return int(self.call("cudaHostGetDevicePointer", array.ctypes.data, 0))

    def wait_without_spinning(self) -> None:
        """Let waiting threads sleep: a Jetson's processor has other work than to poll.

        Before anything else is asked of the GPU.
        """
        flags = self.runtime.cudaDeviceScheduleBlockingSync | self.runtime.cudaDeviceMapHost
        self.release("cudaSetDeviceFlags", flags)

    def forget_error(self) -> None:
        """Clear what a failed call left behind, or the next kernel would be blamed for it."""
        self.runtime.cudaGetLastError()

    def copy_to_gpu(self, address: int, array: NDArray[Any], stream: Any) -> None:
        """Start copying `array` (contiguous) to the GPU."""
        kind = self.runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self.call("cudaMemcpyAsync", address, array.ctypes.data, array.nbytes, kind, stream)

    def copy_from_gpu(self, array: NDArray[Any], address: int, stream: Any) -> None:
        """Start copying from the GPU into `array` (contiguous)."""
        kind = self.runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.call("cudaMemcpyAsync", array.ctypes.data, address, array.nbytes, kind, stream)

    def capture(self, stream: Any, enqueue: Callable[[], None]) -> Any:
        """What `enqueue` puts on `stream`, as one graph that launches at the cost of one kernel."""
        # Thread-local: other threads of the process may use CUDA meanwhile.
        mode = self.runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self.call("cudaStreamBeginCapture", stream, mode)
        try:
            enqueue()
        finally:  # a stream left capturing would refuse everything else
            status, graph = self.runtime.cudaStreamEndCapture(stream)
        if int(status) != 0:
            raise CudaError(f"cudaStreamEndCapture failed with {status.name} ({int(status)})")
        try:
            return self.call("cudaGraphInstantiate", graph, 0)
        finally:
            self.release("cudaGraphDestroy", graph)


class _PinnedMemory:
    """Page-locked memory that numpy arrays can stand on, freed with the last of them."""

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        size = int(np.prod(shape)) * dtype.itemsize
        address = int(cuda.call("cudaHostAlloc", size, cuda.runtime.cudaHostAllocMapped))
        ctypes.memset(address, 0, size)
        self.__array_interface__ = {
            "version": 3,
            "data": (address, False),
            "shape": shape,
            "typestr": dtype.str,
        }
        free = weakref.finalize(self, cuda.release, "cudaFreeHost", address)
        free.atexit = False  # a daemon thread may still read the array; the system takes it back
