"""The engines agree, keep their arrays as long as they promise, and say what they lack."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from engine_pictures import installed
from fake_model import write_fake_model

from mtpano_model.errors import MtpanoError
from mtpano_model.graph.model_info import WEIGHTS
from mtpano_model.inference.engines import OUTPUT_SLOTS, open_engine, processor

CPU_BACKENDS = ("openvino", "onnxruntime")


def picture(size: tuple[int, int] = (64, 128), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (1, *size, 3)).astype(np.uint8)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_an_engine_computes_what_the_graph_says(tmp_path, backend):
    engine = open_engine(write_fake_model(tmp_path / "m.onnx"), installed(backend))
    image = picture()
    outputs = engine.infer(image)
    red = image[0, ..., 0].reshape(32, 2, 64, 2).mean(axis=(1, 3))
    assert set(outputs) == {"depth", "normals", "semseg"}
    np.testing.assert_allclose(outputs["depth"][0, 0], 1 + red / 64, rtol=1e-6)
    assert outputs["semseg"].shape == (1, 18, 32, 64)
    assert (engine.name, engine.device, engine.precision) == (backend, "cpu", "fp32")
    engine.close()
    engine.close()


@pytest.mark.parametrize("tail", ["cpu", "gpu"])
def test_the_engines_agree(tmp_path, tail):
    path = write_fake_model(tmp_path / "m.onnx", tail=tail)
    results = [open_engine(path, installed(backend)).infer(picture()) for backend in CPU_BACKENDS]
    assert results[0].keys() == results[1].keys()
    for name in results[0]:
        np.testing.assert_allclose(results[0][name], results[1][name], rtol=1e-5, atol=1e-4)


def test_the_engines_agree_on_the_bundled_model():
    path = WEIGHTS / "default.onnx"
    if not path.is_file():
        pytest.skip("no bundled model yet")
    from mtpano_model.graph.model_info import read_model_info

    smooth = np.kron(picture((8, 16))[0], np.ones((64, 64, 1))).astype(np.uint8)
    from mtpano_model.inference.preprocess import preprocess

    image = preprocess(smooth, read_model_info(path).input_size)
    first, second = (open_engine(path, installed(b)).infer(image) for b in CPU_BACKENDS)
    for name in first:
        scale = np.abs(second[name]).max()
        np.testing.assert_allclose(first[name], second[name], atol=2e-3 * scale, err_msg=name)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_output_arrays_outlive_the_promised_number_of_calls(tmp_path, backend):
    engine = open_engine(write_fake_model(tmp_path / "m.onnx"), installed(backend))
    first = engine.infer(picture(seed=0))
    kept = {name: value.copy() for name, value in first.items()}
    for seed in range(1, OUTPUT_SLOTS):
        engine.infer(picture(seed=seed))
    for name, value in first.items():
        np.testing.assert_array_equal(value, kept[name])
    engine.infer(picture(seed=99))
    assert not np.array_equal(first["depth"], kept["depth"])


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_output_arrays_outlive_the_engine(tmp_path, backend):
    engine = open_engine(write_fake_model(tmp_path / "m.onnx"), installed(backend))
    outputs = engine.infer(picture())
    kept = outputs["semseg"].copy()
    engine.close()
    del engine
    np.testing.assert_array_equal(outputs["semseg"], kept)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_an_engine_reads_pictures_that_are_not_contiguous(tmp_path, backend):
    engine = open_engine(write_fake_model(tmp_path / "m.onnx"), installed(backend), threads=1)
    image = picture()
    wide = np.zeros((1, 64, 160, 3), np.uint8)
    wide[:, :, :128] = image
    expected = engine.infer(image)["depth"].copy()
    np.testing.assert_array_equal(engine.infer(wide[:, :, :128])["depth"], expected)


def test_openvino_runs_short_types_only_when_asked_and_where_there_are_some(tmp_path):
    installed("openvino")
    from mtpano_model.inference.engines.openvino import openvino_core

    has = openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    path = write_fake_model(tmp_path / "m.onnx")
    exact = open_engine(path, "openvino").infer(picture())["depth"]
    for precision in ("bf16", "fp16"):
        if precision.upper() in has:
            short = open_engine(path, "openvino", precision=precision)
            assert short.precision == precision
            np.testing.assert_allclose(short.infer(picture())["depth"], exact, rtol=2e-2)
        else:
            with pytest.raises(
                MtpanoError, match=rf"no {precision} on this cpu .*: use precision .*fp32"
            ):
                open_engine(path, "openvino", precision=precision)


@pytest.mark.parametrize("backend", CPU_BACKENDS)
def test_a_graph_that_an_engine_refuses_is_one_sentence(tmp_path, backend):
    onnx = pytest.importorskip("onnx")
    path = write_fake_model(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(model, path)
    with pytest.raises(MtpanoError, match="cannot load") as caught:
        open_engine(path, installed(backend))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


_CLOSE_TWO_THEN_SIGNAL = """
import gc, os, signal, sys
from pathlib import Path
from mtpano_model.inference.engines import open_engine
signal.signal(signal.SIGINT, lambda *_: print("handled"))
first, second = (open_engine(Path(sys.argv[1]), "openvino", threads=1) for _ in range(2))
first.close(); del first; gc.collect()
second.close(); del second; gc.collect()
os.kill(os.getpid(), signal.SIGINT)
"""


def test_a_signal_after_two_engines_were_closed_is_handled(tmp_path):
    installed("openvino")
    model = write_fake_model(tmp_path / "m.onnx")
    done = subprocess.run(
        [sys.executable, "-c", _CLOSE_TWO_THEN_SIGNAL, str(model)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, "handled"), done.stderr


FLAGS = "processor\t: 0\nflags\t\t: fpu sse2 avx2 avx512f{}\nbugs\t\t:\n"


@pytest.mark.parametrize(
    ("text", "has"),
    [
        (FLAGS.format(""), False),
        (FLAGS.format(" avx512_bf16 avx512_vnni"), True),
        (FLAGS.format(" amx_tile amx_bf16"), True),
        (FLAGS.format(" avx512_bf16x"), False),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", False),  # ARM: not measured
        (None, False),
    ],
)
def test_bf16_is_taken_where_the_processor_has_it(tmp_path, monkeypatch, text, has):
    cpu_info = tmp_path / "cpuinfo"
    if text is not None:
        cpu_info.write_text(text)
    monkeypatch.setattr(processor, "CPU_INFO", cpu_info)
    assert processor.has_bf16() == has


def test_auto_says_that_it_took_bf16(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(processor, "CPU_INFO", type(tmp_path)("/proc/cpuinfo"))
    if not processor.has_bf16():
        pytest.skip("this processor has neither AVX512_BF16 nor AMX")
    caplog.set_level("INFO")
    path = write_fake_model(tmp_path / "m.onnx")
    assert open_engine(path, "openvino").precision == "bf16"
    assert "OpenVINO computes in bf16" in caplog.text
    assert open_engine(path, "openvino", precision="fp32").precision == "fp32"
