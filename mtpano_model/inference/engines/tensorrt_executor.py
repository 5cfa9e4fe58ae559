"""Run a built engine: pinned host memory, a stream of its own, a CUDA graph."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.engines import OUTPUT_SLOTS, check_image
from mtpano_model.inference.engines.tensorrt_library import make_logger, start
from mtpano_model.inference.engines.tensorrt_memory import Cuda, CudaError
from mtpano_model.inference.engines.tensorrt_plans import PlanRejected

log = logging.getLogger(__name__)

Tensors = dict[str, tuple[type, tuple[int, ...]]]


def contract(size: tuple[int, int]) -> Tensors:
    """Inputs and outputs of a GPU-tail engine for pictures of `size` (H, W)."""
    height, width = size
    return {
        "image": (np.uint8, (1, height, width, 3)),
        "depth": (np.float32, (1, height, width)),
        "normals": (np.float32, (1, height, width, 3)),
        "labels": (np.uint8, (1, height, width)),
    }


class Executor:
    """One engine on the GPU; `run` takes and gives host arrays.

    PlanRejected where the bytes are no engine for this machine or not this model's; MtpanoError
    where the GPU has too little memory.
    """

    def __init__(
        self, tensorrt: Any, cuda: Cuda, plan: bytes, expected: Tensors, use_graph: bool = True
    ) -> None:
        self._cuda = cuda
        self._logger = make_logger(tensorrt)
        self._graph: Any = None
        runtime = start(tensorrt.Runtime, tensorrt, self._logger)
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise PlanRejected(self._logger.last_error or "TensorRT cannot read it")
        if (found := _tensors(tensorrt, engine)) != expected:
            raise PlanRejected(f"its tensors are {found}, the model's are {expected}")
        with ExitStack() as stack:
            try:
                self._context = engine.create_execution_context()
                if self._context is None:
                    raise CudaError(self._logger.last_error or "no execution context")
                self._allocate(stack, expected)
                self._bind(expected["image"][1])
                self.run(self._input)  # the first run allocates inside TensorRT: none may in graphs
            except RuntimeError as error:
                raise MtpanoError(
                    f"the GPU cannot run this engine ({error}): free GPU memory or use a smaller "
                    "model"
                ) from error
            if use_graph:
                self._capture(stack)
            self._resources = stack.pop_all()
        self._keep: tuple[Any, ...] = (runtime, engine)  # both must outlive the context

    def _allocate(self, stack: ExitStack, expected: Tensors) -> None:
        cuda = self._cuda
        self._stream = cuda.call("cudaStreamCreateWithFlags", cuda.runtime.cudaStreamNonBlocking)
        stack.callback(cuda.release, "cudaStreamDestroy", self._stream)
        self._addresses = {}
        for name, (dtype, shape) in expected.items():
            address = cuda.allocate(int(np.prod(shape)) * np.dtype(dtype).itemsize)
            stack.callback(cuda.release, "cudaFree", address)
            self._addresses[name] = address
        self._input = cuda.pinned(expected["image"][1], np.uint8)
        self._slots = [
            {n: cuda.pinned(s, t) for n, (t, s) in expected.items() if n != "image"}
            for _ in range(OUTPUT_SLOTS)
        ]
        self._next = 0

    def _bind(self, image_shape: tuple[int, ...]) -> None:
        accepted = self._context.set_input_shape("image", image_shape)
        for name, address in self._addresses.items():
            accepted = accepted and self._context.set_tensor_address(name, address)
        if not accepted:
            raise PlanRejected(self._logger.last_error or "it does not take its tensors")

    def _capture(self, stack: ExitStack) -> None:
        """Launch the whole network as one graph, which spares the CPU a call for each kernel."""
        try:
            self._graph = self._cuda.capture(self._stream, self._enqueue)
        except RuntimeError as error:
            log.info("no CUDA graph, kernels are launched one by one: %s", error)
            return
        stack.callback(self._cuda.release, "cudaGraphExecDestroy", self._graph)
        self.run(self._input)

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(int(self._stream)):
            raise RuntimeError(f"TensorRT could not run the engine: {self._logger.last_error}")

    def run(self, image: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Run the network once and wait for it; the arrays are the next slot's."""
        if not self._slots:
            raise RuntimeError("the engine is closed")
        if image is not self._input:
            check_image(image, self._input.shape)
            np.copyto(self._input, image)
        outputs = self._slots[self._next]
        self._next = (self._next + 1) % len(self._slots)
        cuda, stream = self._cuda, self._stream
        cuda.copy_to_gpu(self._addresses["image"], self._input, stream)
        if self._graph is not None:
            cuda.call("cudaGraphLaunch", self._graph, stream)
        else:
            self._enqueue()
        for name, array in outputs.items():
            cuda.copy_from_gpu(array, self._addresses[name], stream)
        cuda.call("cudaStreamSynchronize", stream)
        return dict(outputs)

    def close(self) -> None:
        """Free the GPU; arrays handed out stay valid as long as they are held."""
        self._context = None
        self._keep = ()
        self._slots = []
        self._input = np.empty(0, np.uint8)
        self._resources.close()


def _tensors(tensorrt: Any, engine: Any) -> Tensors:
    """Names, types and shapes of an engine's inputs and outputs."""
    kinds = {
        tensorrt.DataType.FLOAT: np.float32,
        tensorrt.DataType.HALF: np.float16,
        tensorrt.DataType.UINT8: np.uint8,
        tensorrt.DataType.INT32: np.int32,
        tensorrt.DataType.INT64: np.int64,
    }
    found: Tensors = {}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        is_input = engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT
        if is_input != (name == "image"):
            raise PlanRejected(f"its tensor '{name}' is an {'input' if is_input else 'output'}")
        kind = kinds.get(engine.get_tensor_dtype(name), np.void)
        found[name] = (kind, tuple(engine.get_tensor_shape(name)))
    return found
