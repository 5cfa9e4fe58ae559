"""The GPU tail in the graph equals the CPU tail plus the host's own finishing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from bilinear import interpolated_labels, wrapped_bilinear
from fake_model import write_fake_model
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from operator_check import unsupported_operators

from mtpano_model.errors import MtpanoError
from mtpano_model.graph.gpu_tail import join_gpu_tail
from mtpano_model.graph.model_info import read_model_info
from mtpano_model.graph.stored_weights import fold_stored_weights
from mtpano_model.inference import ValueRules
from mtpano_model.inference.postprocess import Postprocessor

SIZE = (32, 64)
CLASSES = 5


def write_arbitrary_model(path: Path, stride: int, seed: int = 0) -> Path:
    """A CPU-tail model whose outputs differ everywhere: random 3-channel mixes of the blocks."""
    write_fake_model(path, SIZE, decoder_stride=stride)
    model = onnx.load(str(path))
    rng = np.random.default_rng(seed)
    weights = {
        "w_depth": rng.uniform(0.001, 0.02, (1, 3, 3, 3)),
        "w_normals": rng.normal(size=(3, 3, 3, 3)),
        "w_semseg": rng.normal(size=(CLASSES, 3, 3, 3)),
    }
    for name, value in weights.items():
        model.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))
    kept = [node for node in model.graph.node if node.name or node.op_type != "Identity"]
    del model.graph.node[:]
    model.graph.node.extend(kept[:3])
    for task in ("depth", "normals", "semseg"):
        convolution = helper.make_node("Conv", ["mean", f"w_{task}"], [task], pads=[1, 1, 1, 1])
        model.graph.node.append(convolution)
    model.graph.output[2].type.tensor_type.shape.dim[1].dim_value = CLASSES
    facts = json.loads(model.metadata_props[0].value)
    facts["classes"] = facts["classes"][:CLASSES]
    model.metadata_props[0].value = json.dumps(facts)
    onnx.save(model, str(path))
    return path


def run(path: Path, image: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": image}), strict=True))


def with_gpu_tail(path: Path, size: tuple[int, int] | None = None) -> Path:
    model = onnx.load(str(path))
    join_gpu_tail(model, size)
    joined = path.with_suffix(".gpu.onnx")
    onnx.save(model, str(joined))
    return joined


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_equals_the_definition(tmp_path: Path, stride: int) -> None:
    path = write_arbitrary_model(tmp_path / "m.onnx", stride)
    image = np.random.default_rng(1).integers(0, 256, (1, *SIZE, 3), np.uint8)
    low, full = run(path, image), run(with_gpu_tail(path), image)

    np.testing.assert_allclose(
        full["depth"][0], wrapped_bilinear(low["depth"][0, 0], SIZE), rtol=1e-5, atol=1e-5
    )
    normals = np.stack([wrapped_bilinear(p, SIZE) for p in low["normals"][0]], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    np.testing.assert_allclose(full["normals"][0], normals, atol=2e-4)
    labels = interpolated_labels(low["semseg"][0], SIZE)
    assert full["labels"].dtype == np.uint8
    assert np.mean(full["labels"][0] != labels) < 1e-3  # equal but for rounding


@pytest.mark.parametrize("output_size", [SIZE, (16, 32), (48, 96)])
def test_gives_the_frame_that_the_host_makes(tmp_path: Path, output_size: tuple[int, int]) -> None:
    path = write_arbitrary_model(tmp_path / "m.onnx", 2)
    joined = with_gpu_tail(path)
    image = np.random.default_rng(2).integers(0, 256, (1, *SIZE, 3), np.uint8)
    info, joined_info = read_model_info(path), read_model_info(joined)
    assert (joined_info.tail, joined_info.output_size) == ("gpu", SIZE)
    assert joined_info.classes == info.classes

    rules = ValueRules(depth_finish="off")
    host = Postprocessor(info)(run(path, image), output_size, rules)
    graph = Postprocessor(joined_info)(run(joined, image), output_size, rules)
    if output_size == SIZE:
        np.testing.assert_allclose(graph.depth, host.depth, rtol=1e-4)
        np.testing.assert_allclose(graph.normals, host.normals, atol=2e-4)
        # Noise: classes that are best at none of four pixels compete in the graph alone.
        assert np.mean(graph.labels != host.labels) < 0.06


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(64, 128), (48, 96), (30, 60), (16, 32)])
def test_it_may_be_made_for_the_outputs_size(
    tmp_path: Path, size: tuple[int, int], stride: int
) -> None:
    """Then the host has nothing to interpolate, also where the sizes are no multiples."""
    path = write_arbitrary_model(tmp_path / "m.onnx", stride)
    joined = with_gpu_tail(path, size)
    onnx.checker.check_model(onnx.load(str(joined)), full_check=True)
    assert unsupported_operators(joined) == []
    info = read_model_info(joined)
    assert (info.tail, info.input_size, info.output_size) == ("gpu", SIZE, size)

    image = np.random.default_rng(5).integers(0, 256, (1, *SIZE, 3), np.uint8)
    low, full = run(path, image), run(joined, image)
    np.testing.assert_allclose(
        full["depth"][0], wrapped_bilinear(low["depth"][0, 0], size), rtol=1e-5, atol=1e-5
    )
    normals = np.stack([wrapped_bilinear(p, size) for p in low["normals"][0]], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    np.testing.assert_allclose(full["normals"][0], normals, atol=2e-4)
    assert np.mean(full["labels"][0] != interpolated_labels(low["semseg"][0], size)) < 2e-3
    frame = Postprocessor(info)(full, size, ValueRules(depth_finish="off"))
    np.testing.assert_array_equal(frame.labels, full["labels"][0])
    np.testing.assert_array_equal(frame.depth, full["depth"][0])


def test_the_seam_shows_nowhere(tmp_path: Path) -> None:
    """Rolling the picture by whole blocks rolls the outputs, columns 0 and W-1 included."""
    joined = with_gpu_tail(write_fake_model(tmp_path / "m.onnx", SIZE, decoder_stride=4))
    image = np.random.default_rng(3).integers(0, 256, (1, *SIZE, 3), np.uint8)
    still, rolled = run(joined, image), run(joined, np.roll(image, 12, axis=2))
    for name in ("depth", "labels"):
        np.testing.assert_array_equal(np.roll(still[name], 12, axis=2), rolled[name])


def test_the_joined_graph_is_valid_and_acceptable_to_tensorrt(tmp_path: Path) -> None:
    joined = with_gpu_tail(write_arbitrary_model(tmp_path / "m.onnx", 4))
    onnx.checker.check_model(onnx.load(str(joined)), full_check=True)
    assert unsupported_operators(joined) == []


def test_a_vector_without_direction_becomes_nan_on_the_host(tmp_path: Path) -> None:
    path = write_arbitrary_model(tmp_path / "m.onnx", 2)
    joined = with_gpu_tail(path)
    black = np.zeros((1, *SIZE, 3), np.uint8)
    assert np.isfinite(run(joined, black)["normals"]).all()
    frame = Postprocessor(read_model_info(joined))(run(joined, black), SIZE)
    assert np.isnan(frame.normals).all()


def test_a_gpu_tail_is_left_alone(tmp_path: Path) -> None:
    model = onnx.load(str(write_fake_model(tmp_path / "m.onnx", tail="gpu")))
    before = model.SerializeToString()
    join_gpu_tail(model)
    assert model.SerializeToString() == before


def test_more_than_255_classes_do_not_fit_the_labels(tmp_path: Path) -> None:
    classes = [{"name": f"c{i}", "color": f"#{i:06x}", "open": False} for i in range(300)]
    model = onnx.load(str(write_fake_model(tmp_path / "m.onnx", classes=classes)))
    with pytest.raises(MtpanoError, match="300 classes"):
        join_gpu_tail(model)


def test_foreign_outputs_are_refused(tmp_path: Path) -> None:
    model = onnx.load(str(write_fake_model(tmp_path / "m.onnx")))
    model.graph.output.pop()
    with pytest.raises(MtpanoError, match="expected depth, normals, semseg"):
        join_gpu_tail(model)


def test_weights_stored_in_half_become_plain_constants(tmp_path: Path) -> None:
    path = write_arbitrary_model(tmp_path / "m.onnx", 2)
    image = np.random.default_rng(4).integers(0, 256, (1, *SIZE, 3), np.uint8)
    model = onnx.load(str(path))
    casts = []
    for tensor in model.graph.initializer:
        if tensor.name.startswith("w_"):
            half = numpy_helper.to_array(tensor).astype(np.float16)
            name = tensor.name
            stored = numpy_helper.from_array(half, f"{name}/stored")
            if name == "w_depth":  # some exporters write constants as nodes
                casts.append(helper.make_node("Constant", [], [stored.name], value=stored))
                tensor.name = "unused"
            else:
                tensor.CopyFrom(stored)
            casts.append(helper.make_node("Cast", [f"{name}/stored"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, str(path))
    expected = run(path, image)

    fold_stored_weights(model.graph)
    folded = tmp_path / "folded.onnx"
    onnx.save(model, str(folded))
    assert [node.op_type for node in model.graph.node].count("Cast") == 1  # the image's
    assert not any(node.op_type == "Constant" for node in model.graph.node)
    assert not any("stored" in tensor.name for tensor in model.graph.initializer)
    for name, value in run(folded, image).items():
        np.testing.assert_array_equal(value, expected[name])
