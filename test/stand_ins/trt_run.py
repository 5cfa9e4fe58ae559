"""The running half of the tensorrt stand-in. Faults: no start, no context, no enqueue."""

from __future__ import annotations

import ctypes
import json
from typing import Any

import numpy as np
import onnxruntime as ort

from stand_ins.trt_build import PLAN_MAGIC
from stand_ins.trt_names import Checked, Member, require_logger

_TYPES = {np.float32: "FLOAT", np.float16: "HALF", np.uint8: "UINT8"}
_ORT_TYPES = {"tensor(uint8)": np.uint8, "tensor(float)": np.float32, "tensor(float16)": np.float16}


class Runtime(Checked):
    def __init__(self, logger: Any) -> None:
        require_logger(logger)
        if "no start" in self.machine.faults:
            raise TypeError("pybind11::init(): factory function returned nullptr")
        self._logger = logger

    def deserialize_cuda_engine(self, plan: bytes) -> Any:
        machine = self.machine
        machine.count("deserialized")
        plan = bytes(memoryview(plan))
        head, _, rest = plan.removeprefix(PLAN_MAGIC).partition(b"\n")
        reason = ""
        if not plan.startswith(PLAN_MAGIC):
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


class ICudaEngine(Checked):
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

    def get_tensor_mode(self, name: str) -> Member:
        modes = self.module.TensorIOMode
        return modes.INPUT if name in self._inputs else modes.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self._io[name][1]

    def get_tensor_dtype(self, name: str) -> Member:
        return getattr(self.module.DataType, _TYPES[self._io[name][0]])

    def create_engine_inspector(self) -> Any:
        inspector = self.module.EngineInspector()
        inspector._layers = ["Conv_0 + Relu_1"]
        return inspector

    def create_execution_context(self) -> Any:
        if "no context" in self.machine.faults:
            return None
        context = self.module.IExecutionContext()
        context._engine = self
        return context


class EngineInspector(Checked):
    _layers: list[str]

    def get_engine_information(self, format: Member) -> str:
        assert format.label == "JSON"
        return json.dumps({"Layers": self._layers})


class IExecutionContext(Checked):
    _engine: Any
    _profiler: Any = None

    @property
    def profiler(self) -> Any:
        return self._profiler

    @profiler.setter
    def profiler(self, profiler: Any) -> None:
        assert isinstance(profiler, self.module.IProfiler)
        assert profiler._made
        self._profiler = profiler

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
        if "no enqueue" in self.machine.faults or "last error" in self.machine.faults:
            return False
        self.machine.count("enqueued")
        addresses = dict(self._addresses)  # a captured graph keeps those of its capture
        self.machine.streams[stream_handle].put(lambda: self._execute(addresses))
        return True

    def _execute(self, addresses: dict[str, int]) -> None:
        session = self._engine._session
        feeds = {name: self._view(name, addresses[name]) for name in self._engine._inputs}
        names = [name for name in self._engine._io if name not in feeds]
        for name, value in zip(names, session.run(names, feeds), strict=True):
            self._view(name, addresses[name])[...] = value
        if self._profiler is not None:
            self._profiler.report_layer_time("Conv_0 + Relu_1", 0.5)

    def _view(self, name: str, address: int) -> Any:
        dtype, shape = self._engine._io[name]
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        raw = (ctypes.c_uint8 * size).from_address(address)
        return np.frombuffer(raw, dtype).reshape(shape)
