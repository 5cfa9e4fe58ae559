"""Run a built engine: pinned host memory, a stream of its own, a CUDA graph a set of outputs.

A graphics card gets the image, runs and sends the outputs back; all of it is one graph. A GPU that
shares the processor's memory (Jetson) reads and writes the host's arrays in place.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.graph.contract import IMAGE, TensorSpec, image_tensor
from mtpano_model.graph.model_info import ModelInfo
from mtpano_model.inference.engines import OUTPUT_SLOTS, check_image
from mtpano_model.inference.engines.tensorrt.library import make_logger, start
from mtpano_model.inference.engines.tensorrt.memory import Cuda, CudaError
from mtpano_model.inference.engines.tensorrt.plans import Plan, PlanRejected

log = logging.getLogger(__name__)

Tensors = dict[str, TensorSpec]


@dataclass
class _Slot:
    """One set of output arrays, the addresses that the engine uses with them, and their graph."""

    outputs: dict[str, NDArray[Any]]
    addresses: dict[str, int]
    graph: Any = None


def engine_tensors(info: ModelInfo) -> Tensors:
    """Inputs and outputs of a model with the GPU tail."""
    return {IMAGE: image_tensor(info.input_size), **info.outputs}


class Executor:
    """One engine on the GPU; `run` takes and gives host arrays.

    in_place: the GPU shares the processor's memory. PlanRejected where the bytes are no engine for
    this machine or not this model's; MtpanoError where the GPU has too little memory.
    """

    def __init__(
        self,
        tensorrt: Any,
        cuda: Cuda,
        plan: Plan,
        expected: Tensors,
        *,
        in_place: bool = False,
        use_graph: bool = True,
    ) -> None:
        self._cuda, self._in_place = cuda, in_place
        self._logger = make_logger(tensorrt)
        runtime = start(tensorrt.Runtime, tensorrt, self._logger)
        self.engine = runtime.deserialize_cuda_engine(plan)
        if self.engine is None:
            raise PlanRejected(self._logger.last_error or "TensorRT cannot read it")
        if (found := _tensors(tensorrt, self.engine)) != expected:
            raise PlanRejected(
                f"its tensors are {_words(found)}; the model's are {_words(expected)}"
            )
        with ExitStack() as stack:
            try:
                self.context = self.engine.create_execution_context()
                if self.context is None:
                    raise CudaError(self._logger.last_error or "no execution context")
                self._allocate(stack, expected)
                # The first run allocates inside TensorRT, which none may in graphs.
                for slot in self._slots:
                    self._run(slot)
            except RuntimeError as error:
                raise MtpanoError(
                    f"the GPU cannot run this engine ({error}): free GPU memory or use a smaller "
                    "model"
                ) from error
            if use_graph:
                self._capture(stack)
            self._resources = stack.pop_all()
        self._runtime: Any = runtime  # must outlive engine and context

    def _allocate(self, stack: ExitStack, expected: Tensors) -> None:
        cuda = self._cuda
        self._stream = cuda.call("cudaStreamCreateWithFlags", cuda.runtime.cudaStreamNonBlocking)
        stack.callback(cuda.release, "cudaStreamDestroy", self._stream)
        shape = expected[IMAGE].shape
        self._input = cuda.pinned(shape, np.uint8)
        if not self.context.set_input_shape(IMAGE, shape):
            raise CudaError(f"TensorRT does not take images of {shape}")
        shared = {}
        if not self._in_place:
            for name, tensor in expected.items():
                size = int(np.prod(tensor.shape)) * np.dtype(tensor.dtype).itemsize
                shared[name] = cuda.allocate(size)
                stack.callback(cuda.release, "cudaFree", shared[name])
        self._slots = []
        for _ in range(OUTPUT_SLOTS):
            outputs = {n: cuda.pinned(t.shape, t.dtype) for n, t in expected.items() if n != IMAGE}
            arrays = {IMAGE: self._input, **outputs}
            addresses = shared or {n: cuda.seen_by_gpu(array) for n, array in arrays.items()}
            self._slots.append(_Slot(outputs, addresses))
        self._next = 0

    def _capture(self, stack: ExitStack) -> None:
        try:
            for slot in self._slots:
                self._bind(slot)
                slot.graph = self._cuda.capture(self._stream, lambda: self._enqueue(slot))  # noqa: B023
                stack.callback(self._cuda.release, "cudaGraphExecDestroy", slot.graph)
                self._run(slot)
        except RuntimeError as error:
            log.info("no CUDA graph, kernels are launched one by one: %s", error)
            for slot in self._slots:
                slot.graph = None
            self._cuda.forget_error()
            self._run(self._slots[0])

    def _bind(self, slot: _Slot) -> None:
        for name, address in slot.addresses.items():
            if not self.context.set_tensor_address(name, address):
                raise CudaError(f"TensorRT does not take the address of {name}")

    def _enqueue(self, slot: _Slot) -> None:
        """Put one image's work on the stream."""
        cuda, stream = self._cuda, self._stream
        if not self._in_place:
            cuda.copy_to_gpu(slot.addresses[IMAGE], self._input, stream)
        if not self.context.execute_async_v3(int(stream)):
            raise RuntimeError(f"TensorRT could not run the engine: {self._logger.last_error}")
        if not self._in_place:
            for name, array in slot.outputs.items():
                cuda.copy_from_gpu(array, slot.addresses[name], stream)

    def _run(self, slot: _Slot) -> None:
        """Run the network on `self._input` and wait for it."""
        if slot.graph is not None:
            self._cuda.call("cudaGraphLaunch", slot.graph, self._stream)
        else:
            self._bind(slot)
            self._enqueue(slot)
        self._cuda.call("cudaStreamSynchronize", self._stream)

    def run(self, image: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """Run the network once and wait for it; the arrays are the next slot's."""
        if not self._slots:
            raise RuntimeError("the engine is closed")
        check_image(image, self._input.shape)
        np.copyto(self._input, image)
        slot = self._slots[self._next]
        self._next = (self._next + 1) % len(self._slots)
        self._run(slot)
        return dict(slot.outputs)

    def close(self) -> None:
        """Free the GPU; arrays handed out stay valid as long as they are held."""
        self.context = self.engine = self._runtime = None
        self._slots = []
        self._input = np.empty(0, np.uint8)
        self._resources.close()


def _tensors(tensorrt: Any, engine: Any) -> Tensors:
    """Names, types and shapes of an engine's inputs and outputs."""
    kinds = {
        tensorrt.DataType.FLOAT: "float32",
        tensorrt.DataType.HALF: "float16",
        tensorrt.DataType.UINT8: "uint8",
        tensorrt.DataType.INT32: "int32",
        tensorrt.DataType.INT64: "int64",
    }
    found: Tensors = {}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        is_input = engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT
        if is_input != (name == IMAGE):
            raise PlanRejected(f"its tensor '{name}' is an {'input' if is_input else 'output'}")
        kind = kinds.get(engine.get_tensor_dtype(name), "unknown")
        found[name] = TensorSpec(name, kind, tuple(engine.get_tensor_shape(name)))
    return found


def _words(tensors: Tensors) -> str:
    return ", ".join(map(str, tensors.values()))
