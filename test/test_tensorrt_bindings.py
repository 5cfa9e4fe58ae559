"""The stand-in's names, and every call of ours, against TensorRT's real Python modules."""

from __future__ import annotations

import re
from typing import Any

import pytest
from stand_ins import real_bindings
from stand_ins.trt_names import names

# What we call, with the names of the arguments that we give, after `self`.
CALLS = {
    "Builder.create_network": ["flags"],
    "Builder.create_builder_config": [],
    "Builder.build_serialized_network": ["network", "config"],
    "OnnxParser.parse_from_file": ["model"],
    "OnnxParser.get_error": ["index"],
    "ParserError.desc": [],
    "IBuilderConfig.set_memory_pool_limit": ["pool", "pool_size"],
    "IBuilderConfig.set_flag": ["flag"],
    "IBuilderConfig.clear_flag": ["flag"],
    "IBuilderConfig.create_timing_cache": ["serialized_timing_cache"],
    "IBuilderConfig.set_timing_cache": ["cache", "ignore_mismatch"],
    "ITimingCache.serialize": [],
    "Runtime.deserialize_cuda_engine": ["serialized_engine"],
    "ICudaEngine.get_tensor_name": ["index"],
    "ICudaEngine.get_tensor_mode": ["name"],
    "ICudaEngine.get_tensor_shape": ["name"],
    "ICudaEngine.get_tensor_dtype": ["name"],
    "ICudaEngine.create_execution_context": [],
    "ICudaEngine.create_engine_inspector": [],
    "EngineInspector.get_engine_information": ["format"],
    "IExecutionContext.set_input_shape": ["name", "shape"],
    "IExecutionContext.set_tensor_address": ["name", "memory"],
    "IExecutionContext.execute_async_v3": ["stream_handle"],
    "ILogger.log": ["severity", "msg"],
    "IProgressMonitor.phase_start": ["phase_name", "parent_phase", "num_steps"],
    "IProgressMonitor.step_complete": ["phase_name", "step"],
    "IProgressMonitor.phase_finish": ["phase_name"],
    "IProfiler.report_layer_time": ["layer_name", "ms"],
}


@pytest.fixture(scope="module", params=real_bindings.VERSIONS)
def real(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What the real module of one version has, and the version."""
    folder = tmp_path_factory.mktemp("bindings")
    if reason := real_bindings.unpack(request.param, folder):
        pytest.skip(reason)
    return {"short": request.param, **real_bindings.describe(folder)}


def test_the_stand_in_s_names_are_the_real_ones(real: dict[str, Any]) -> None:
    assert real["version"] == real_bindings.VERSIONS[real["short"]]
    found = {kind: set(members) for kind, members in real["names"].items()}
    assert found == names(real["short"])


@pytest.mark.parametrize("call", CALLS)
def test_every_call_has_its_arguments(real: dict[str, Any], call: str) -> None:
    signatures = re.findall(
        rf"{call.split('.')[1]}\((.*?)\) ->", real["signatures"][call], re.DOTALL
    )
    arguments = [re.findall(r"(\w+): ", signature)[1:] for signature in signatures]
    given = CALLS[call]
    assert any(each[: len(given)] == given for each in arguments), arguments


def test_a_broken_driver_is_one_sentence(real: dict[str, Any]) -> None:
    """The libraries here return null, as NVIDIA's do where the driver is too old."""
    assert set(real["refusals"]) == {"Builder", "Runtime"}
    for sentence in real["refusals"].values():
        assert f"TensorRT {real['version']} does not start on this machine" in sentence


def test_our_callbacks_are_what_it_takes(real: dict[str, Any]) -> None:
    assert real["goes_on"] is True
    assert real["profiles"] is True
    assert 1 << real["strongly_typed"] == (2 if real["short"].startswith("10") else 1)
