"""One more output of the network is one row in `tasks`: it is exported, run and postprocessed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_model import write_fake_model

from mtpano_model import engine_names
from mtpano_model.errors import MtpanoError
from mtpano_model.graph import contract
from mtpano_model.graph.model_info import read_model_info
from mtpano_model.inference.engines import _CLASSES, open_engine

# In a process of its own, where the row stands in the table before anybody reads it.
_NEW_ROW = """
import sys
from pathlib import Path
import numpy as np
from mtpano_model import tasks

row = tasks.Task("roughness", 1, "invariant", True, "0..1, of the surface", optional=True)
tasks.MAIN_TASKS += (row,)
tasks.TASKS[row.name] = row

import onnx, torch
from networks import seeded, tiny
from mtpano_model.evaluation.predictor import NetworkPredictor
from mtpano_model.export.onnx_graph import export_cpu_tail
from mtpano_model.graph.gpu_tail import join_gpu_tail
from mtpano_model.graph.model_info import read_model_info
from mtpano_model.inference import load_estimator

assert "roughness" not in tiny("nano").tasks, "optional means asked for"
tasks_of_net = ("semseg", "depth", "normals", "roughness")
net = seeded(tiny("nano", tasks=tasks_of_net, auxiliary=False, bridge=False))
rgb = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
model = export_cpu_tail(net)
folder = Path(sys.argv[1])
onnx.save(model, folder / "cpu.onnx")
join_gpu_tail(model)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, folder / "gpu.onnx")

expected = NetworkPredictor(net)._estimator.predict(rgb).extras["roughness"]
for tail in ("cpu", "gpu"):
    for backend in ("onnxruntime", "openvino"):
        with load_estimator(folder / f"{tail}.onnx", backend, precision="fp32") as estimator:
            assert row in estimator.info.tasks
            frame = estimator.predict(rgb)
            roughness = frame.extras["roughness"]
            assert (roughness.dtype, roughness.shape) == (np.float32, (64, 128))
            np.testing.assert_allclose(roughness, expected, atol=1e-4)
            assert np.ptp(roughness) > 0
            again = estimator.postprocess(estimator.infer(estimator.preprocess(rgb)), out=frame)
            assert again.extras["roughness"] is roughness, "its memory is used again"
            small = estimator.predict(rgb, (32, 64))
            assert small.extras["roughness"].shape == (32, 64)
with load_estimator("default") as estimator:
    assert "roughness" not in estimator.predict(rgb).extras
print("done")
"""


@pytest.mark.slow
def test_a_row_in_the_table_reaches_the_frame(tmp_path: Path) -> None:
    for module in ("torch", "onnxscript", "onnxruntime", "openvino"):
        pytest.importorskip(module)
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", _NEW_ROW, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.stdout.strip().endswith("done"), done.stderr


def test_the_tails_are_those_of_the_documentation() -> None:
    def shapes(tail: contract.Tail) -> dict[str, tuple[str, tuple[int, ...]]]:
        tensors = (contract.output_tensor(t, tail, (4, 8), 18) for t in contract.REQUIRED)
        return {t.name: (t.dtype, t.shape) for t in tensors}

    assert shapes("cpu") == {
        "depth": ("float32", (1, 1, 4, 8)),
        "normals": ("float32", (1, 3, 4, 8)),
        "semseg": ("float32", (1, 18, 4, 8)),
    }
    assert shapes("gpu") == {
        "depth": ("float32", (1, 4, 8)),
        "normals": ("float32", (1, 4, 8, 3)),
        "labels": ("uint8", (1, 4, 8)),
    }


@pytest.mark.parametrize(
    ("classes", "kind", "unlabelled"),
    [(1, "uint8", 255), (254, "uint8", 255), (255, "uint16", 65535), (300, "uint16", 65535)],
)
def test_labels_have_room_for_every_class_and_for_none(
    classes: int, kind: str, unlabelled: int
) -> None:
    assert contract.label_type(classes) == kind
    assert contract.unlabelled_id(classes) == unlabelled > classes - 1


@pytest.mark.parametrize("tail", ["cpu", "gpu"])
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_file_that_declares_other_shapes_than_it_computes_is_refused(
    tmp_path: Path, backend: str, tail: str
) -> None:
    """A graph's declared shapes are a promise that nothing but running it tests."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip(backend)
    from mtpano_model.inference import load_estimator

    path = write_fake_model(tmp_path / "lie.onnx", tail=tail)
    model = onnx.load(path)
    (node,) = (n for n in model.graph.node if "depth" in n.output)
    node.output[0] = "honest"
    half = onnx.numpy_helper.from_array(np.array([0], np.int64), "from")
    stop = onnx.numpy_helper.from_array(np.array([16], np.int64), "to")
    axis = onnx.numpy_helper.from_array(np.array([-1], np.int64), "axis")
    model.graph.initializer.extend([half, stop, axis])
    model.graph.node.append(
        onnx.helper.make_node("Slice", ["honest", "from", "to", "axis"], ["depth"])
    )
    onnx.save(model, path)
    assert read_model_info(path).tail == tail, "the declaration is as it should be"
    with pytest.raises(MtpanoError, match=r"lie\.onnx|depth") as caught:
        load_estimator(path, backend).predict(np.zeros((64, 128, 3), np.uint8))
    assert "\n" not in str(caught.value)


def test_every_name_of_an_engine_is_a_choice_and_every_choice_an_engine() -> None:
    engines = engine_names.ENGINES
    assert set(engines) == set(_CLASSES)
    assert set(engine_names.BACKEND_CHOICES) == {"auto", *engines}
    devices = {device for engine in engines.values() for device in engine.devices}
    assert set(engine_names.DEVICE_CHOICES) == {"auto", *devices}
    for backend, device in engine_names.PREFERRED:
        assert device in engines[backend].devices


def test_the_choices_are_known_without_any_library() -> None:
    code = (
        "import sys; import mtpano_model.engine_names; "
        "assert not {'numpy', 'cv2', 'mtpano_model.inference'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        ("RuntimeError('Could not determine home directory.')", "set the environment variable HOM"),
        ("ImportError('libx.so: failed to map segment from shared object')", "limit of the addre"),
        ("OSError(12, 'Cannot allocate memory')", "free some memory"),
        ("MemoryError()", "free some memory"),
        ("ImportError('libopenvino.so is gone')", "install it again, pip install openvino"),
        ("ValueError('two\\nlines')", "install it again"),
        ("SystemError('initialization failed')", "install it again"),
    ],
)
def test_whatever_importing_an_engine_raises_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str, remedy: str
) -> None:
    from mtpano_model.doctor.engines import _openvino

    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino" / "__init__.py").write_text(f"raise {error}")
    for module in [m for m in sys.modules if "openvino" in m.split(".")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MtpanoError) as caught:
        open_engine(write_fake_model(tmp_path / "m.onnx"), "openvino")
    message = str(caught.value)
    assert "\n" not in message
    assert "backend 'openvino' cannot be imported" in message
    assert remedy in message
    (finding,) = _openvino()
    assert finding.level == "fix"
    assert remedy in f"{finding}"
