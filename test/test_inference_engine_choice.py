"""Which engine is taken, and what is said where one cannot be."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bilinear import interpolated_labels
from engine_pictures import installed
from fake_model import write_fake_model

from mtpano_model.errors import MtpanoError
from mtpano_model.inference import ValueRules, engines, load_estimator
from mtpano_model.inference.engines import open_engine


def test_auto_prefers_openvino_and_falls_back_when_it_is_absent(tmp_path, monkeypatch):
    path = write_fake_model(tmp_path / "m.onnx")
    here = {"openvino", "onnxruntime"}
    monkeypatch.setattr(engines, "_installed", lambda module: module in here)
    assert open_engine(path).name == "openvino"
    here.remove("openvino")
    assert open_engine(path).name == "onnxruntime"
    here.clear()
    with pytest.raises(MtpanoError, match="pip install openvino"):
        open_engine(path)


@pytest.fixture
def runtime_with_cuda(monkeypatch):
    """An ONNX Runtime that was compiled with CUDA, and does not find it where it runs."""
    runtime = pytest.importorskip("onnxruntime")
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(runtime, "get_available_providers", lambda: providers)
    return runtime


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_auto_prefers_onnxruntime_on_a_gpu_to_openvino_on_the_processor(
    tmp_path, monkeypatch, runtime_with_cuda
):
    started = runtime_with_cuda.get_available_providers()
    monkeypatch.setattr(runtime_with_cuda.InferenceSession, "get_providers", lambda _: started)
    engine = open_engine(write_fake_model(tmp_path / "m.onnx"))
    assert (engine.name, engine.device) == ("onnxruntime", "cuda")


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.parametrize("size", [None, (40, 96)])
def test_onnxruntime_on_a_gpu_finishes_the_outputs_there(
    tmp_path, monkeypatch, runtime_with_cuda, size
):
    """The processor stands in for the GPU: what counts is the graph that the session is given."""
    path = write_fake_model(tmp_path / "m.onnx")
    picture = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
    on_processor = load_estimator(path, "onnxruntime", "cpu")
    rules = ValueRules(depth_finish="off")
    expected = on_processor.predict(picture, size, rules)
    logits = on_processor.infer(picture[None])["semseg"][0]
    started = runtime_with_cuda.get_available_providers()
    monkeypatch.setattr(runtime_with_cuda.InferenceSession, "get_providers", lambda _: started)
    estimator = load_estimator(path, "onnxruntime", "cuda", output_size=size)
    assert set(estimator.engine.infer(picture[None])) == {"depth", "normals", "labels"}
    frame = estimator.predict(picture, size, rules)
    np.testing.assert_allclose(frame.depth, expected.depth, rtol=1e-4)
    np.testing.assert_allclose(frame.normals, expected.normals, atol=1e-4)
    differing = frame.labels != interpolated_labels(logits, size or (64, 128))
    assert np.mean(differing) < 0.001


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_ids_of_16_bits_stay_with_the_processor(tmp_path, monkeypatch, runtime_with_cuda):
    table = [{"name": f"c{i}", "color": f"#{i:06x}", "open": False} for i in range(300)]
    path = write_fake_model(tmp_path / "m.onnx", classes=table)
    started = runtime_with_cuda.get_available_providers()
    monkeypatch.setattr(runtime_with_cuda.InferenceSession, "get_providers", lambda _: started)
    estimator = load_estimator(path, "onnxruntime", "cuda")
    frame = estimator.predict(np.zeros((64, 128, 3), np.uint8))
    assert (estimator.info.tail, frame.labels.dtype) == ("cpu", np.uint16)


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_gpu_that_onnxruntime_cannot_start_is_passed_over_unless_named(
    tmp_path, monkeypatch, caplog, runtime_with_cuda
):
    path = write_fake_model(tmp_path / "m.onnx")
    assert open_engine(path).name == installed("openvino")
    monkeypatch.setattr(engines, "_installed", lambda module: module == "onnxruntime")
    for backend in ("auto", "onnxruntime"):
        caplog.clear()
        engine = open_engine(path, backend)
        assert (engine.name, engine.device) == ("onnxruntime", "cpu")
        assert "passed over for onnxruntime on cpu: ONNX Runtime could not start" in caplog.text
        with pytest.raises(MtpanoError, match="could not start its CUDAExecutionProvider"):
            open_engine(path, backend, "cuda")


def test_a_folder_that_cannot_be_written_costs_onnxruntime_s_cache_alone(
    tmp_path, monkeypatch, caplog, runtime_with_cuda
):
    from mtpano_model.inference.engines import onnxruntime

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
    options = onnxruntime._provider_options("TensorrtExecutionProvider")
    assert Path(options["trt_engine_cache_path"]).is_dir()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    options = onnxruntime._provider_options("TensorrtExecutionProvider")
    assert options == {"trt_fp16_enable": True}
    assert "set XDG_CACHE_HOME" in caplog.text


def test_a_backend_whose_import_fails_is_passed_over_unless_named(tmp_path, monkeypatch, caplog):
    installed("onnxruntime")
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino" / "__init__.py").write_text("raise OSError('libopenvino.so is gone')")
    for module in [m for m in sys.modules if "openvino" in m.split(".")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.syspath_prepend(tmp_path)
    path = write_fake_model(tmp_path / "m.onnx")
    assert open_engine(path).name == "onnxruntime"
    sentence = r"backend 'openvino' cannot be imported \(OSError: libopenvino.so is gone\)"
    assert re.search(sentence, caplog.text)
    with pytest.raises(MtpanoError, match=sentence):
        open_engine(path, "openvino")


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("openvino", "pip install openvino"),
        ("onnxruntime", "pip install onnxruntime"),
        ("tensorrt", "pip install tensorrt"),
    ],
)
def test_a_backend_that_is_absent_says_what_to_install(tmp_path, monkeypatch, backend, words):
    monkeypatch.setattr(engines, "_installed", lambda module: False)
    with pytest.raises(MtpanoError, match=words):
        open_engine(write_fake_model(tmp_path / "m.onnx"), backend)


def test_an_unknown_backend_names_the_known_ones(tmp_path):
    with pytest.raises(MtpanoError, match=r"'ncnn'.*onnxruntime, openvino, tensorrt"):
        open_engine(write_fake_model(tmp_path / "m.onnx"), "ncnn")


@pytest.mark.parametrize(
    ("backend", "device", "precision", "words"),
    [
        ("auto", "tpu", None, "does not run on device 'tpu': expected auto, cuda, cpu, gpu"),
        ("openvino", "cuda", None, "does not run on device 'cuda'"),
        ("onnxruntime", "gpu", None, "does not run on device 'gpu'"),
        ("tensorrt", "cpu", None, "does not run on device 'cpu'"),
        ("openvino", "cpu", "int4", "no precision 'int4'"),
        ("onnxruntime", "cpu", "bf16", "no precision 'bf16'"),
    ],
)
def test_what_an_engine_cannot_do_is_said(tmp_path, backend, device, precision, words):
    with pytest.raises(MtpanoError, match=words):
        open_engine(write_fake_model(tmp_path / "m.onnx"), backend, device, precision=precision)


def test_onnxruntime_without_cuda_says_so(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in runtime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(MtpanoError, match="no CUDAExecutionProvider"):
        open_engine(write_fake_model(tmp_path / "m.onnx"), "onnxruntime", "cuda")


def test_opening_one_engine_does_not_import_the_other(tmp_path):
    """Each library costs memory and seconds; a robot pays for one."""

    path = write_fake_model(tmp_path / "m.onnx")
    code = (
        "import sys; from pathlib import Path; from mtpano_model.inference.engines import *; "
        f"open_engine(Path({str(path)!r}), 'openvino'); assert 'onnxruntime' not in sys.modules"
    )
    installed("openvino")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
