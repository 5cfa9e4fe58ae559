"""The TensorRT engine on a recording stand-in: names, numbers, memory, faults."""

from __future__ import annotations

import gc
import logging
from pathlib import Path
from typing import Any

import cached_engines
import cv2
import numpy as np
import onnxruntime as ort
import pytest
import tensorrt_machines
from bilinear import interpolated_labels
from fake_model import write_fake_model
from numpy.typing import NDArray
from stand_ins.machine import Machine
from tensorrt_machines import SIZE

from mtpano_model.errors import MtpanoError
from mtpano_model.inference import ValueRules, load_estimator
from mtpano_model.inference.engines import OUTPUT_SLOTS, open_engine
from mtpano_model.inference.engines.cache import EngineCache
from mtpano_model.inference.engines.tensorrt.engine import TensorRTEngine

machine, model = tensorrt_machines.machine, tensorrt_machines.model
cache = cached_engines.cache


def picture(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (1, *SIZE, 3), np.uint8)


def reference(model: Path, image: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """By ONNX Runtime: depth at the decoder's size, labels of interpolated logits."""
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    depth, _, semseg = session.run(["depth", "normals", "semseg"], {"image": image})
    return {"low_depth": depth[0, 0], "labels": interpolated_labels(semseg[0], SIZE)}


def test_gives_the_model_s_answers(machine: Machine, model: Path, cache: EngineCache) -> None:
    engine = TensorRTEngine(model, precision="fp32", cache=cache)
    for seed in range(5):  # more than there are slots
        image = picture(seed)
        outputs = engine.infer(image)
        expected = reference(model, image)
        assert {k: (v.dtype.name, v.shape) for k, v in outputs.items()} == {
            "depth": ("float32", (1, *SIZE)),
            "normals": ("float32", (1, *SIZE, 3)),
            "labels": ("uint8", (1, *SIZE)),
        }
        assert np.mean(outputs["labels"][0] != expected["labels"]) < 1e-3  # but for rounding
        # Bilinear weights of a factor of two: the mean of each 2x2 is nearly the source pixel.
        inner = outputs["depth"][0, 1:-1].mean()
        assert inner == pytest.approx(expected["low_depth"].mean(), rel=0.02)
        assert np.linalg.norm(outputs["normals"][0], axis=-1) == pytest.approx(1, abs=1e-5)
    engine.close()


def test_arrays_keep_their_values_through_the_next_calls(
    machine: Machine, model: Path, cache: EngineCache
) -> None:
    engine = TensorRTEngine(model, cache=cache)
    first = engine.infer(picture(0))
    kept = first["depth"].copy()
    for seed in range(1, OUTPUT_SLOTS):
        later = engine.infer(picture(seed))
        assert not np.shares_memory(first["depth"], later["depth"])
    np.testing.assert_array_equal(first["depth"], kept)
    engine.close()


def test_the_network_runs_as_one_graph_launch(
    machine: Machine, model: Path, cache: EngineCache
) -> None:
    engine = TensorRTEngine(model, cache=cache)
    before = machine.counts["enqueued"]
    for seed in range(3):
        engine.infer(picture(seed))
    assert machine.counts["enqueued"] == before
    assert machine.counts["cudaGraphLaunch"] >= 3
    engine.close()


def test_without_graphs_it_runs_all_the_same(
    machine: Machine, model: Path, cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with_graph = TensorRTEngine(model, cache=cache)
    expected = with_graph.infer(picture(0))
    machine.faults = {"no capture"}
    engine = TensorRTEngine(model, cache=cache)
    np.testing.assert_array_equal(engine.infer(picture(0))["depth"], expected["depth"])
    assert "no CUDA graph" in caplog.text
    plain = TensorRTEngine(model, cache=cache, use_graph=False)
    np.testing.assert_array_equal(plain.infer(picture(0))["depth"], expected["depth"])
    for each in (with_graph, engine, plain):
        each.close()


def test_close_frees_the_gpu_and_arrays_outlive_it(
    machine: Machine, model: Path, cache: EngineCache
) -> None:
    engine = TensorRTEngine(model, cache=cache)
    depth = engine.infer(picture(0))["depth"]
    kept = depth.copy()
    engine.close()
    engine.close()
    assert [machine.held(kind) for kind in ("device", "stream", "graph")] == [0, 0, 0]
    np.testing.assert_array_equal(depth, kept)
    with pytest.raises(RuntimeError, match="closed"):
        engine.infer(picture(0))
    assert machine.held("pinned") == 1  # what `depth` stands on
    del depth
    gc.collect()
    assert machine.held("pinned") == 0


def test_a_hundred_opened_engines_leave_nothing(
    machine: Machine, model: Path, cache: EngineCache
) -> None:
    for _ in range(100):
        TensorRTEngine(model, cache=cache).close()
    gc.collect()
    assert machine.memory == {}
    assert machine.streams == {}


def test_pictures_of_another_kind_are_refused(
    machine: Machine, model: Path, cache: EngineCache
) -> None:
    engine = TensorRTEngine(model, cache=cache)
    for bad in (np.zeros((1, 8, 16, 3), np.uint8), np.zeros((1, *SIZE, 3), np.float32)):
        with pytest.raises(ValueError, match="expected uint8"):
            engine.infer(bad)
    np.testing.assert_array_equal(engine.infer(picture(0))["labels"].shape, (1, *SIZE))
    engine.close()


def test_both_tails_give_the_same(machine: Machine, tmp_path: Path, cache: EngineCache) -> None:
    outputs = []
    for tail in ("cpu", "gpu"):
        path = write_fake_model(tmp_path / f"{tail}.onnx", SIZE, tail=tail)
        engine = TensorRTEngine(path, precision="fp32", cache=cache)
        outputs.append(engine.infer(picture(0)))
        engine.close()
    np.testing.assert_allclose(outputs[0]["depth"], outputs[1]["depth"], rtol=1e-5)
    assert np.mean(outputs[0]["labels"] != outputs[1]["labels"]) < 1e-3
    # The fake GPU tail writes the exact ray, the joined one interpolates a coarser map of them.
    np.testing.assert_allclose(outputs[0]["normals"], outputs[1]["normals"], atol=0.1)


def test_outputs_may_have_the_size_of_the_frames(
    machine: Machine, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As the processor makes them; and each size has an engine of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rgb = cv2.resize(picture(0)[0, ::8, ::8], SIZE[::-1], interpolation=cv2.INTER_LINEAR)
    size = (SIZE[0] * 3 // 2, SIZE[1] * 3 // 2)
    frames = []
    for backend in ("tensorrt", "onnxruntime"):
        options = {"precision": "fp32", "output_size": size}
        with load_estimator(model, backend, **options) as estimator:
            if backend == "tensorrt":
                assert estimator.info.output_size == size
                outputs = estimator.infer(estimator.preprocess(rgb))
                assert outputs["normals"].shape == (1, *size, 3)
            frames.append(estimator.predict(rgb, size, ValueRules(depth_finish="off")))
    np.testing.assert_allclose(frames[0].depth, frames[1].depth, rtol=1e-4)
    np.testing.assert_allclose(frames[0].normals, frames[1].normals, atol=1e-4)
    assert np.mean(frames[0].labels != frames[1].labels) < 0.02
    TensorRTEngine(model, precision="fp32").close()
    assert len(list((tmp_path / "mtpano" / "engines").glob("*.engine"))) == 2


FAULTS = {
    "no start": "does not start on this machine",
    "bad graph": "cannot read the graph of .*No importer registered for op: Attention",
    "no build": "could not build an engine .*no implementation for node Conv_1",
    "no context": "the GPU cannot run this engine",
    "out of memory": "the GPU cannot run this engine .*cudaErrorMemoryAllocation",
    "no enqueue": "the GPU cannot run this engine",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_refusal_is_one_sentence_and_leaves_nothing(
    machine: Machine, model: Path, cache: EngineCache, fault: str
) -> None:
    machine.faults = {fault}
    with pytest.raises(MtpanoError, match=FAULTS[fault]) as caught:
        TensorRTEngine(model, cache=cache)
    assert "\n" not in str(caught.value)
    del caught
    gc.collect()
    assert machine.memory == {}
    assert machine.streams == {}
    machine.faults = set()
    TensorRTEngine(model, cache=cache).close()


def test_a_fault_while_running_is_an_error_and_closing_still_works(
    machine: Machine, model: Path, cache: EngineCache
) -> None:
    engine = TensorRTEngine(model, cache=cache)
    machine.faults = {"sticky"}
    with pytest.raises(RuntimeError, match="cudaErrorIllegalAddress"):
        engine.infer(picture(0))
    engine.close()


def test_the_estimator_makes_the_same_frame_as_on_a_processor(
    machine: Machine, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rgb = cv2.resize(picture(0)[0, ::8, ::8], SIZE[::-1], interpolation=cv2.INTER_LINEAR)
    frames = []
    for backend in ("tensorrt", "onnxruntime"):
        with load_estimator(model, backend=backend, precision="fp32", device="auto") as estimator:
            assert estimator.info.backend == backend
            frames.append(estimator.predict(rgb, rules=ValueRules(depth_finish="off")))
    np.testing.assert_allclose(frames[0].depth, frames[1].depth, rtol=1e-4)
    np.testing.assert_allclose(frames[0].normals, frames[1].normals, atol=1e-4)
    # A class that is best at none of four pixels competes on the GPU alone.
    assert np.mean(frames[0].labels != frames[1].labels) < 0.02


def test_auto_takes_tensorrt_first_and_another_backend_where_it_fails(
    machine: Machine, model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    engine = open_engine(model)
    assert engine.name == "tensorrt"
    engine.close()
    machine.faults = {"no driver"}
    engine = open_engine(model)
    assert engine.name in ("openvino", "onnxruntime")
    engine.close()


def test_a_gpu_that_shares_the_memory_reads_and_writes_the_host_s_arrays(
    machine: Machine, model: Path, cache: EngineCache
) -> None:
    plain = TensorRTEngine(model, cache=cache)
    expected = [plain.infer(picture(seed)) for seed in range(2)]
    plain.close()
    machine.integrated = True
    engine = TensorRTEngine(model, cache=cache)
    before = machine.counts["cudaMemcpyAsync"]
    for seed in range(2):
        for name, array in engine.infer(picture(seed)).items():
            np.testing.assert_array_equal(array, expected[seed][name])
    assert machine.held("device") == 0
    assert machine.counts["cudaMemcpyAsync"] == before
    engine.close()


def test_whoever_waits_sleeps(machine: Machine, model: Path, cache: EngineCache) -> None:
    TensorRTEngine(model, cache=cache).close()
    assert machine.device_flags & 4  # cudaDeviceScheduleBlockingSync


def test_a_failed_capture_leaves_no_error_behind(
    machine: Machine, model: Path, cache: EngineCache
) -> None:
    machine.faults = {"no capture"}
    engine = TensorRTEngine(model, cache=cache)
    assert "last error" not in machine.faults
    engine.infer(picture(0))
    engine.close()
