"""TensorRT on a real GPU: the same answers as ONNX Runtime on a processor, and how fast.

Skipped, with the reason, where there is no GPU or no TensorRT. On a robot:

    pytest test/test_tensorrt_gpu.py -s
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import pytest
from fake_model import write_fake_model
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.graph.model_info import WEIGHTS, read_model_info
from mtpano_model.inference import Frame, load_estimator
from mtpano_model.inference.engines.cache import EngineCache
from mtpano_model.inference.engines.progress import BuildCancelled, BuildProgress
from mtpano_model.inference.engines.tensorrt.builder import BuildSettings
from mtpano_model.inference.engines.tensorrt.engine import TensorRTEngine
from mtpano_model.inference.engines.tensorrt.library import find_gpu, load_cuda, load_tensorrt
from mtpano_model.inference.preprocess import preprocess

PANORAMAS = Path(__file__).parents[1] / "mtpano_ros" / "panoramas"
pytestmark = [pytest.mark.gpu, pytest.mark.slow, pytest.mark.timeout(1800)]

# The largest differences allowed between fp16 or fp32 (without TF32) on the GPU and fp32 elsewhere:
# relative depth, degrees between normals, share of labels that differ.
TOLERANCES = {"fp32": (0.003, 0.3, 0.002), "fp16": (0.01, 1.0, 0.005)}
FAST_BUILD = BuildSettings(optimization_level=1)


@pytest.fixture(scope="module", autouse=True)
def gpu() -> str:
    try:
        found, library = find_gpu(load_cuda()), load_tensorrt()
    except MtpanoError as error:
        pytest.skip(str(error))
    name = f"{found.name}, sm {found.compute_capability}, TensorRT {library.__version__}"
    print(f"\n{name}")
    return name


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> EngineCache:
    return EngineCache(tmp_path_factory.mktemp("engines"))


@pytest.fixture(params=["fake", "default"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "default":
        path = WEIGHTS / "default.onnx"
        if not path.is_file():
            pytest.skip(f"the bundled model is absent: {path}")
        return path
    return write_fake_model(tmp_path / "fake.onnx", (256, 512), decoder_stride=4)


def picture(path: Path, seed: int = 0) -> NDArray[np.uint8]:
    """A bundled panorama, or for the fake model coloured blocks: every colour and edge."""
    height, width = read_model_info(path).input_size
    if path.stem == "default":
        found = sorted(PANORAMAS.glob("*.jpg"))
        bgr = cv2.imread(str(found[seed % len(found)]))
        rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
        return preprocess(rgb, (height, width))[0]
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    return np.ascontiguousarray(coarse.repeat(16, axis=0).repeat(16, axis=1))


def differences(found: Frame, expected: Frame) -> tuple[float, float, float]:
    """99th percentile of relative depth and of degrees between normals; share of other labels."""
    both = np.isfinite(found.depth) & np.isfinite(expected.depth)
    depth = np.abs(found.depth[both] / expected.depth[both] - 1)
    cosines = (found.normals[both] * expected.normals[both]).sum(axis=-1)
    degrees = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    labels = float(np.mean(found.labels != expected.labels))
    return float(np.percentile(depth, 99)), float(np.nanpercentile(degrees, 99)), labels


@pytest.mark.parametrize("precision", TOLERANCES)
def test_parity_with_onnx_runtime(
    model: Path, precision: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    rgb = picture(model)
    with load_estimator(model, backend="onnxruntime", device="cpu") as reference:
        expected = reference.predict(rgb)
    with load_estimator(model, backend="tensorrt", precision=precision) as estimator:
        assert estimator.info.precision == precision
        found = estimator.predict(rgb)
        times = [estimator.predict(rgb).milliseconds["inference"] for _ in range(50)]
    measured = differences(found, expected)
    print(
        f"\n{model.name} {precision}: {median(times):.2f} ms; 99 % of depths within "
        f"{measured[0]:.4f}, of normals {measured[1]:.2f} degrees, {measured[2]:.2%} other labels"
    )
    for value, limit in zip(measured, TOLERANCES[precision], strict=True):
        assert value <= limit


def test_the_cache_spares_the_build(model: Path, cache: EngineCache) -> None:
    phases: list[BuildProgress] = []

    def seconds(**kwargs: Any) -> float:
        begin = perf_counter()
        TensorRTEngine(model, cache=cache, settings=FAST_BUILD, **kwargs).close()
        return perf_counter() - begin

    built = seconds(progress=phases.append)
    reported = len(phases)
    loaded = seconds(progress=phases.append)
    print(f"\n{model.name}: built in {built:.1f} s, loaded in {loaded:.1f} s")
    assert reported > 2
    assert phases[-1].fraction == pytest.approx(1, abs=0.05)
    assert len(phases) == reported  # the second start built nothing


def test_the_graph_launch_equals_the_plain_one_and_is_not_slower(
    model: Path, cache: EngineCache
) -> None:
    image = picture(model)[None]
    results, times = [], []
    for use_graph in (False, True):
        engine = TensorRTEngine(model, cache=cache, settings=FAST_BUILD, use_graph=use_graph)
        results.append({name: value.copy() for name, value in engine.infer(image).items()})
        times.append(_median_ms(lambda engine=engine: engine.infer(image)))
        engine.close()
    print(f"\n{model.name}: {times[0]:.2f} ms launched singly, {times[1]:.2f} ms as a graph")
    for name, value in results[0].items():
        np.testing.assert_array_equal(value, results[1][name])


def _median_ms(run: Callable[[], Any], repeats: int = 50) -> float:
    times = []
    for _ in range(repeats):
        begin = perf_counter()
        run()
        times.append(perf_counter() - begin)
    return median(times) * 1e3


def test_a_build_is_cancelled_within_seconds(model: Path, tmp_path: Path) -> None:
    cancel = threading.Event()
    begin = 0.0

    def cancel_soon(progress: BuildProgress) -> None:
        nonlocal begin
        if progress.fraction > 0 and not cancel.is_set():
            begin = perf_counter()
            cancel.set()

    with pytest.raises(BuildCancelled):
        TensorRTEngine(model, cache=EngineCache(tmp_path), progress=cancel_soon, cancel=cancel)
    print(f"\n{model.name}: cancelled in {perf_counter() - begin:.1f} s")
    assert not list(tmp_path.glob("*.engine"))


def test_a_thousand_pictures_take_no_more_memory(model: Path, cache: EngineCache) -> None:
    runtime = load_cuda()
    if find_gpu(runtime).integrated:
        pytest.skip("a Jetson's free memory is the whole machine's, which others use as well")
    engine = TensorRTEngine(model, cache=cache, settings=FAST_BUILD)
    image = picture(model)[None]
    for _ in range(20):
        engine.infer(image)
    _, free_before, _ = runtime.cudaMemGetInfo()
    for _ in range(1000):
        engine.infer(image)
    _, free_after, _ = runtime.cudaMemGetInfo()
    engine.close()
    assert free_before - free_after < 16 << 20
