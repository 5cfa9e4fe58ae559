"""The estimator from picture to frame, on a model whose answers are known exactly."""

from __future__ import annotations

import subprocess
import sys
from threading import Thread

import numpy as np
import pytest
from fake_model import write_fake_model

from mtpano_model.classes import load_class_set
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import rays
from mtpano_model.graph.model_info import read_model_info
from mtpano_model.inference import Estimator, Frame, ValueRules, load_estimator
from mtpano_model.pictures.resize import resize_linear

BACKENDS = ["openvino", "onnxruntime"]

UNFINISHED = ValueRules(depth_finish="off")  # depth as the network gives it


@pytest.fixture(scope="module", params=BACKENDS)
def estimator(request, tmp_path_factory):
    pytest.importorskip(request.param)
    path = write_fake_model(tmp_path_factory.mktemp("model") / "m.onnx")
    with load_estimator(path, backend=request.param, threads=1) as opened:
        yield opened


def painted(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A picture of upright stripes in class colours, eight to the turn, and its labels.

    The first stripe lies across the seam: two colours there might be taken for a fault.
    """
    classes = load_class_set("indoor18")
    labels = np.tile(np.repeat(np.arange(8), size[1] // 8), (size[0], 1)).astype(np.uint8)
    labels = np.roll(labels, -size[1] // 16, axis=1)
    return classes.palette_array[labels], labels


def test_a_painted_picture_comes_back_as_its_classes_depths_and_normals(estimator):
    rgb, labels = painted((64, 128))
    frame = estimator.predict(rgb, rules=UNFINISHED)
    np.testing.assert_array_equal(frame.labels, labels)
    middle = np.zeros_like(labels, bool)  # away from the stripes' edges, where depth is blended
    for stripe in range(8):
        middle[:, stripe * 16 + 2 : stripe * 16 + 14] = True
    middle = np.roll(middle, -8, axis=1)
    np.testing.assert_allclose(
        frame.depth[middle], 1 + rgb[..., 0][middle] / 64, rtol=1e-6, err_msg="depth"
    )
    cosine = -(frame.normals * rays(64, 128)).sum(axis=-1)
    assert cosine[2:-2].min() > 0.9999
    assert frame.non_finite == 0


@pytest.mark.parametrize("image", [np.zeros((1, 64, 128, 3), np.int8), np.zeros((64, 128, 3))])
def test_no_engine_computes_on_another_type_or_shape(estimator, image):
    with pytest.raises(ValueError, match=r"the image is .*, expected uint8 \[1, 64, 128, 3\]"):
        estimator.infer(image)


@pytest.mark.parametrize("source", [(64, 128), (256, 512), (32, 64), (100, 200)])
@pytest.mark.parametrize("size", [None, (64, 128), (128, 256), (32, 64)])
def test_any_picture_gives_the_size_asked_for(estimator, source, size):
    rgb, _ = painted((source[0], source[1] // 8 * 8))
    frame = estimator.predict(rgb, output_size=size)
    assert frame.size == (size or (64, 128))
    assert set(frame.milliseconds) == {"preprocess", "inference", "postprocess"}
    assert all(value >= 0 for value in frame.milliseconds.values())


def test_a_picture_rolled_by_the_decoders_stride_gives_a_rolled_frame(estimator):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (64, 128, 3)).astype(np.uint8)
    frame = estimator.predict(rgb, rules=UNFINISHED)
    turned = estimator.predict(np.roll(rgb, 26, axis=1), rules=UNFINISHED)
    np.testing.assert_allclose(turned.depth, np.roll(frame.depth, 26, axis=1), atol=1e-6)
    np.testing.assert_array_equal(turned.labels, np.roll(frame.labels, 26, axis=1))


def test_the_stages_one_by_one_are_predict(estimator):
    rgb, _ = painted((128, 256))
    rules = ValueRules(max_range=3.0)
    whole = estimator.predict(rgb, (64, 128), rules)
    batch = np.empty((1, 64, 128, 3), np.uint8)
    out = Frame.empty((64, 128), 18)
    assert estimator.preprocess(rgb, out=batch) is batch
    assert estimator.postprocess(estimator.infer(batch), (64, 128), rules, out=out) is out
    for name in ("depth", "normals", "labels"):
        np.testing.assert_array_equal(getattr(out, name), getattr(whole, name))


def test_a_pipeline_of_threads_gives_what_one_thread_gives(estimator):
    """Infer runs ahead by one while the frame before it is postprocessed."""
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 256, (64, 128, 3)).astype(np.uint8) for _ in range(12)]
    expected = [estimator.predict(rgb) for rgb in pictures]
    frames: list[Frame] = []
    worker: Thread | None = None
    for rgb in pictures:
        outputs = estimator.infer(estimator.preprocess(rgb))
        if worker is not None:
            worker.join()
        worker = Thread(target=lambda o=outputs: frames.append(estimator.postprocess(o)))
        worker.start()
    worker.join()
    for frame, wanted in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(frame.depth, wanted.depth)
        np.testing.assert_array_equal(frame.labels, wanted.labels)


def test_both_tails_tell_the_same(tmp_path):
    coarse = np.random.default_rng(2).integers(0, 256, (4, 8, 3)).astype(np.uint8)
    rgb = resize_linear(coarse, (64, 128))
    models = [write_fake_model(tmp_path / f"{tail}.onnx", tail=tail) for tail in ("cpu", "gpu")]
    host, graph = (load_estimator(model).predict(rgb, rules=UNFINISHED) for model in models)
    np.testing.assert_allclose(graph.depth, host.depth, atol=1e-5)
    # A class that is best at none of four pixels competes in the graph alone.
    assert np.mean(graph.labels != host.labels) < 0.01


def test_the_info_tells_model_and_engine(estimator):
    info = estimator.info
    assert info.backend in BACKENDS
    assert (info.device, info.precision, info.tail) == ("cpu", "fp32", "cpu")
    assert info.classes.names[0] == "wall"


class BrokenEngine:
    """An engine that answers NaN for one frame."""

    name, device, precision = "broken", "cpu", "fp32"

    def __init__(self) -> None:
        self.calls = 0

    def infer(self, image):
        self.calls += 1
        depth = np.full((1, 1, 32, 64), 2, np.float32)
        if self.calls == 1:
            depth[:] = np.nan
        return {
            "depth": depth,
            "normals": -np.moveaxis(rays(32, 64), -1, 0)[None].copy(),
            "semseg": np.zeros((1, 18, 32, 64), np.float32),
        }

    def close(self) -> None:
        pass


def test_a_frame_of_nan_is_counted_and_the_next_is_whole(tmp_path):
    info = read_model_info(write_fake_model(tmp_path / "m.onnx"))
    estimator = Estimator(BrokenEngine(), info)
    rgb, _ = painted((64, 128))
    first, second = estimator.predict(rgb), estimator.predict(rgb)
    assert np.isnan(first.depth).all()
    assert first.non_finite == 32 * 64
    np.testing.assert_allclose(second.depth, 2)
    assert second.non_finite == 0


def test_mistakes_are_told_as_mtpano_errors(tmp_path):
    with pytest.raises(MtpanoError, match="does not exist"):
        load_estimator(tmp_path / "none.onnx")
    path = write_fake_model(tmp_path / "m.onnx")
    with pytest.raises(MtpanoError, match="unknown backend"):
        load_estimator(path, backend="keras")


def test_predicting_loads_neither_torch_nor_ros(tmp_path):
    path = write_fake_model(tmp_path / "m.onnx")
    code = f"""
import sys, numpy as np
from mtpano_model.inference import load_estimator
before = set(sys.modules)
assert not before & {{"openvino", "onnxruntime", "tensorrt"}}
load_estimator({str(path)!r}).predict(np.zeros((64, 128, 3), np.uint8))
import mtpano_model.drawing.panels, mtpano_model.clouds.files
loaded = {{name.split(".")[0] for name in sys.modules}}
assert not loaded & {{"torch", "rclpy", "transformers", "onnx"}}, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
