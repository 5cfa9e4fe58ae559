"""Building on a recording stand-in: names, precision, settings, progress, cancelling."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import cached_engines
import numpy as np
import onnx
import pytest
import tensorrt_machines
from fake_model import write_fake_model
from stand_ins.install import install
from stand_ins.machine import Machine
from stand_ins.trt_names import names
from tensorrt_machines import SIZE

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.engines.cache import EngineCache
from mtpano_model.inference.engines.tensorrt import graph
from mtpano_model.inference.engines.tensorrt.builder import BuildSettings
from mtpano_model.inference.engines.tensorrt.engine import TensorRTEngine
from mtpano_model.inference.engines.tensorrt.profile import describe_engine

# What 10.3 and 11.4 share (stand_ins/tensorrt_names.csv), and what no program can do without.
ALLOWED = {
    "Builder.create_network",
    "NetworkDefinitionCreationFlag.STRONGLY_TYPED",
    "OnnxParser.parse_from_file",
    "OnnxParser.num_errors",
    "OnnxParser.get_error",
    "ParserError.desc",
    "IBuilderConfig.set_memory_pool_limit",
    "MemoryPoolType.WORKSPACE",
    "IBuilderConfig.builder_optimization_level",
    "IBuilderConfig.create_timing_cache",
    "IBuilderConfig.set_timing_cache",
    "ITimingCache.serialize",
    "IBuilderConfig.progress_monitor",
    "IProgressMonitor.phase_start",
    "IProgressMonitor.step_complete",
    "IProgressMonitor.phase_finish",
    "Builder.create_builder_config",
    "Builder.build_serialized_network",
    "Runtime.deserialize_cuda_engine",
    "ICudaEngine.num_io_tensors",
    "ICudaEngine.get_tensor_name",
    "ICudaEngine.get_tensor_mode",
    "ICudaEngine.get_tensor_shape",
    "ICudaEngine.get_tensor_dtype",
    "ICudaEngine.create_execution_context",
    "IExecutionContext.set_input_shape",
    "IExecutionContext.set_tensor_address",
    "IExecutionContext.execute_async_v3",
    "TensorIOMode.INPUT",
    "TensorIOMode.OUTPUT",
    "ILogger.log",
    "IBuilderConfig.clear_flag",
    "BuilderFlag.TF32",
    "IBuilderConfig.profiling_verbosity",
    "ProfilingVerbosity.DETAILED",
    "ICudaEngine.create_engine_inspector",
    "EngineInspector.get_engine_information",
    "LayerInformationFormat.JSON",
    "IExecutionContext.profiler",
    "IProfiler.report_layer_time",
    *(f"DataType.{name}" for name in ("FLOAT", "HALF", "UINT8", "INT32", "INT64")),
    *(f"Severity.{name}" for name in ("INTERNAL_ERROR", "ERROR", "WARNING", "INFO")),
}
WEAK_ONLY = {"IBuilderConfig.set_flag", "BuilderFlag.FP16"}


machine, model = tensorrt_machines.machine, tensorrt_machines.model
cache = cached_engines.cache


def test_uses_no_name_that_either_version_lacks(
    machine: Machine, model: Path, cache: EngineCache
) -> None:
    settings = BuildSettings(workspace_mb=64, optimization_level=1, detailed=True)
    for precision in ("fp16", "fp32"):
        engine = TensorRTEngine(model, precision=precision, cache=cache, settings=settings)
        describe_engine(engine, runs=1)
        engine.close()
    for fault in ("bad graph", "no strong build"):
        machine.faults = {fault}
        with contextlib.suppress(MtpanoError):
            TensorRTEngine(model, cache=cache, rebuild=True).close()
    used = {name for name in machine.used if not name.startswith("cuda.")}
    weak = WEAK_ONLY if machine.tensorrt.startswith("10.3") else set()
    assert used - ALLOWED - weak == set()
    # Nobody rewrote the list to suit the code: both versions do have every name on it.
    old, new = names("10.3"), names("11.4")
    for name in ALLOWED:
        kind, member = name.split(".")
        assert member in old[kind], name
        assert member in new[kind], name


def test_the_stand_in_of_11_lacks_what_11_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Machine(tensorrt="11.4.1"))
    import tensorrt

    for name in ("FP16", "INT8"):
        with pytest.raises(AttributeError):
            getattr(tensorrt.BuilderFlag, name)
    with pytest.raises(AttributeError):
        _ = tensorrt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH
    with pytest.raises(AttributeError):
        tensorrt.IBuilderConfig().int8_calibrator = None
    with pytest.raises(AttributeError):
        _ = tensorrt.ICudaEngine().device_memory_size
    with pytest.raises(AssertionError):  # it exists, but nobody uses it
        _ = tensorrt.ICudaEngine().num_layers


def test_cuda_names_exist_in_the_real_library(
    machine: Machine, model: Path, cache: EngineCache
) -> None:
    TensorRTEngine(model, cache=cache).close()
    used = {name.removeprefix("cuda.") for name in machine.used if name.startswith("cuda.")}
    assert "cudaGraphLaunch" in used  # the capture took place
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(__import__("sys").modules, "cuda.bindings.runtime")
        real = pytest.importorskip("cuda.bindings.runtime")
    constants = {
        "cudaStreamNonBlocking",
        "cudaMemcpyKind",
        "cudaStreamCaptureMode",
        "cudaDeviceScheduleBlockingSync",
        "cudaDeviceMapHost",
        "cudaHostAllocMapped",
    }
    assert [name for name in used | constants if not hasattr(real, name)] == []
    assert hasattr(real.cudaMemcpyKind, "cudaMemcpyDeviceToHost")
    assert hasattr(real.cudaStreamCaptureMode, "cudaStreamCaptureModeThreadLocal")


def half_weights(machine: Machine) -> int:
    model = onnx.ModelProto.FromString(machine.last_build["onnx"])
    return sum(t.data_type == onnx.TensorProto.FLOAT16 for t in model.graph.initializer)


@pytest.mark.parametrize(
    ("version", "precision", "flags", "strong", "half"),
    [
        ("10.3.0", "fp16", set(), True, True),
        ("10.12.0", "fp16", set(), True, True),
        ("11.4.1", "fp16", set(), True, True),
        ("10.3.0", "fp32", {"no TF32"}, True, False),
        ("11.4.1", "fp32", {"no TF32"}, True, False),
    ],
)
def test_precision_is_the_graph_s(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    cache: EngineCache,
    version: str,
    precision: str,
    flags: set[str],
    strong: bool,
    half: bool,
) -> None:
    machine = install(monkeypatch, Machine(tensorrt=version))
    path = tmp_path / "deep.onnx"
    write_two_convolutions(path)
    engine = TensorRTEngine(path, precision=precision, cache=cache)
    assert engine.precision == precision
    assert machine.last_build["flags"] == flags
    assert (machine.last_build["network_flags"] != 0) == strong
    assert (half_weights(machine) > 0) == half
    engine.close()


def write_two_convolutions(path: Path) -> None:
    """The fake model with a convolution in front, so that one is not the last before an output."""
    model = onnx.load(str(write_fake_model(path, SIZE)))
    eye = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    model.graph.initializer.append(onnx.numpy_helper.from_array(eye, "eye"))
    index = next(i for i, n in enumerate(model.graph.node) if n.output[0] == "mean")
    model.graph.node[index].output[0] = "block_mean"
    model.graph.node.insert(
        index + 1, onnx.helper.make_node("Conv", ["block_mean", "eye"], ["mean"])
    )
    onnx.save(model, str(path))


def test_a_refused_graph_is_built_once_more_by_the_builder_s_own_precisions(
    machine: Machine, model: Path, cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    machine.faults = {"no strong build"}
    if machine.tensorrt.startswith("11"):  # knows nothing else
        with pytest.raises(MtpanoError, match="no implementation"):
            TensorRTEngine(model, cache=cache)
        return
    TensorRTEngine(model, cache=cache).close()
    assert machine.last_build["flags"] == {"FP16"}
    assert machine.last_build["network_flags"] == 0
    assert half_weights(machine) == 0
    assert "which can be less accurate" in caplog.text
    with pytest.raises(MtpanoError, match="no implementation"):  # fp32 was asked for
        TensorRTEngine(model, cache=cache, precision="fp32")


def test_a_vision_transformer_never_gets_half_attention_from_the_builder(
    machine: Machine, model: Path, cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "is_vision_transformer", lambda _: True)
    machine.faults = {"no strong build"}
    with pytest.raises(MtpanoError, match="no implementation"):
        TensorRTEngine(model, cache=cache)
    assert machine.counts["builds"] == 1


def test_a_quantized_model_is_refused(machine: Machine, tmp_path: Path, cache: EngineCache) -> None:
    path = write_fake_model(tmp_path / "q.onnx", SIZE, metadata={"precision": "int8"})
    with pytest.raises(MtpanoError, match="is quantized to int8"):
        TensorRTEngine(path, cache=cache)


@pytest.mark.parametrize(
    ("asked", "integrated", "memory", "given"),
    [
        (None, False, 24 << 30, None),
        (None, True, 8 << 30, 2048),
        (None, True, 4 << 30, 1024),
        (None, True, 64 << 30, 2048),
        (512, True, 64 << 30, 512),
    ],
)
def test_a_jetson_keeps_memory_for_the_rest_of_the_robot(
    machine: Machine,
    model: Path,
    cache: EngineCache,
    asked: int | None,
    integrated: bool,
    memory: int,
    given: int | None,
) -> None:
    machine.integrated, machine.memory_bytes = integrated, memory
    TensorRTEngine(model, cache=cache, settings=BuildSettings(workspace_mb=asked)).close()
    assert machine.last_build["workspace"] == (None if given is None else given << 20)


@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_impossible_precisions_are_refused(
    machine: Machine, model: Path, cache: EngineCache, precision: str
) -> None:
    with pytest.raises(MtpanoError, match=precision):
        TensorRTEngine(model, precision=precision, cache=cache)
    assert "builds" not in machine.counts


def test_settings_reach_the_builder(machine: Machine, model: Path, cache: EngineCache) -> None:
    settings = BuildSettings(workspace_mb=512, optimization_level=5)
    TensorRTEngine(model, cache=cache, settings=settings).close()
    assert machine.last_build["workspace"] == 512 << 20
    assert machine.last_build["level"] == 5


def test_more_workspace_than_memory_is_refused(
    machine: Machine, model: Path, cache: EngineCache
) -> None:
    with pytest.raises(MtpanoError, match="99999999 MiB: expected at most 8192"):
        TensorRTEngine(model, cache=cache, settings=BuildSettings(workspace_mb=99_999_999))
    assert "builds" not in machine.counts


@pytest.mark.parametrize("bad", [{"workspace_mb": 0}, {"optimization_level": 6}])
def test_senseless_settings_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(MtpanoError, match="expected"):
        BuildSettings(**bad)


def test_kernel_timings_are_handed_from_build_to_build(
    machine: Machine, model: Path, cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    TensorRTEngine(model, cache=cache).close()
    (file,) = cache.folder.glob("*.timings")
    assert file.read_bytes() == b"t"  # the stand-in adds a letter each build
    TensorRTEngine(model, cache=cache, rebuild=True).close()
    assert file.read_bytes() == b"tt"
    file.write_bytes(b"garbage")
    TensorRTEngine(model, cache=cache, rebuild=True).close()
    assert "of no use here" in caplog.text
    assert file.read_bytes() == b"t"
