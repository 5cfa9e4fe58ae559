"""What TensorRT is given is the same network: rewritten where that is safer or faster."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from half_rounding import run_rounded, softmax_types
from onnx import TensorProto, helper, numpy_helper

from mtpano_model.graph.attention import (
    is_vision_transformer,
    scale_queries_first,
)
from mtpano_model.graph.gpu_tail import join_gpu_tail
from mtpano_model.graph.half_precision import compute_in_half
from mtpano_model.graph.model_info import WEIGHTS, read_model_info
from mtpano_model.graph.stored_weights import fold_stored_weights
from mtpano_model.graph.wrap_padding import pad_by_wrapping
from mtpano_model.inference.engines.tensorrt.graph import prepare_graph
from mtpano_model.inference.preprocess import preprocess

PANORAMAS = Path(__file__).parents[1] / "mtpano_ros" / "panoramas"


def attention(scale: str = "Mul", between: str = "", shared: bool = False) -> onnx.ModelProto:
    """softmax(scale(x xT) [+ mask]) x, scaled behind the product as libraries export it."""
    node = helper.make_node
    factor = np.float32(0.125 if scale == "Mul" else 8)
    nodes = [
        node("Transpose", ["x"], ["keys"], perm=[0, 2, 1]),
        node("MatMul", ["x", "keys"], ["product"]),
        node(scale, ["product", "s"], ["scaled"]),
    ]
    last = "scaled"
    if between:
        extra = {"Add": ["scaled", "mask"], "Cast": ["scaled"]}[between]
        to = {"to": TensorProto.FLOAT} if between == "Cast" else {}
        nodes.append(node(between, extra, ["passed"], **to))
        last = "passed"
    nodes += [
        node("Softmax", [last], ["weights"], axis=-1),
        node("MatMul", ["weights", "x"], ["y"]),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 6, 8])]
    if shared:
        outputs.append(helper.make_tensor_value_info("product", TensorProto.FLOAT, [1, 6, 6]))
    constants = {"s": factor, "mask": np.triu(np.full((1, 6, 6), -5, np.float32))}
    graph = helper.make_graph(
        nodes,
        "attention",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 6, 8])],
        outputs,
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def run(model: onnx.ModelProto, **feeds: np.ndarray) -> dict[str, np.ndarray]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds), strict=True))


@pytest.mark.parametrize("between", ["", "Add", "Cast"])
@pytest.mark.parametrize("scale", ["Mul", "Div"])
def test_queries_are_scaled_before_the_product(scale: str, between: str) -> None:
    model = attention(scale, between)
    x = np.random.default_rng(0).standard_normal((1, 6, 8)).astype(np.float32)
    expected = run(model, x=x)["y"]
    assert scale_queries_first(model.graph) == 1
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(run(model, x=x)["y"], expected, rtol=1e-5, atol=1e-6)
    assert scale_queries_first(model.graph) == 0


def test_a_product_that_others_read_is_left_alone() -> None:
    model = attention(shared=True)
    assert scale_queries_first(model.graph) == 0


def test_scores_that_half_cannot_hold_no_longer_arise() -> None:
    """Queries and keys of 120 over 8 channels: 115,200 unscaled, 14,400 scaled."""
    results = []
    for rewrite in (False, True):
        model = attention()
        if rewrite:
            scale_queries_first(model.graph)
        model.graph.input[0].name = "image"
        model.graph.node.insert(0, helper.make_node("Identity", ["image"], ["x"]))
        model.graph.node.insert(0, helper.make_node("MatMul", ["image", "unit"], ["x0"]))
        model.graph.node[1].input[0] = "x0"
        unit = numpy_helper.from_array(np.eye(8, dtype=np.float32), "unit")
        model.graph.initializer.append(unit)
        compute_in_half(model)
        x = np.full((1, 6, 8), 120, np.float32)
        results.append(run_rounded(model, [x])[1])
    assert max(results[0].values()) == np.inf
    assert max(results[1].values()) < 20_000


@pytest.mark.parametrize("between", ["", "Add"])
def test_an_attention_with_scaled_queries_is_half_throughout(between: str) -> None:
    """So that one kernel can take it; the weights then differ by half's rounding."""
    model = attention(between=between)
    model.graph.input[0].name = "image"
    model.graph.node.insert(0, helper.make_node("MatMul", ["image", "unit"], ["x"]))
    unit = numpy_helper.from_array(np.eye(8, dtype=np.float32), "unit")
    model.graph.initializer.append(unit)
    # Not the last product: what lies behind it is in fp32 up to the output.
    model.graph.node.append(helper.make_node("MatMul", ["y", "unit"], ["z"]))
    model.graph.output[0].name = "z"
    x = np.random.default_rng(0).standard_normal((1, 6, 8)).astype(np.float32)
    expected = run(model, image=x)["z"]
    unscaled = onnx.ModelProto()
    unscaled.CopyFrom(model)
    compute_in_half(unscaled)
    assert softmax_types(unscaled) == []  # its scores may leave half's range
    scale_queries_first(model.graph)
    compute_in_half(model)
    assert softmax_types(model) == [TensorProto.FLOAT16]
    assert not [n for n in model.graph.node if n.op_type == "Cast" and "weights" in n.input[0]]
    onnx.checker.check_model(model, full_check=True)
    (found,), _ = run_rounded(model, [x])
    np.testing.assert_allclose(found["z"], expected, atol=4e-3)
    np.testing.assert_allclose(run(model, image=x)["z"], expected, atol=4e-3)


def test_a_mask_that_half_cannot_hold_keeps_the_softmax_in_fp32() -> None:
    model = attention(between="Add")
    scale_queries_first(model.graph)
    mask = numpy_helper.from_array(np.triu(np.full((1, 6, 6), -1e9, np.float32), 1), "mask")
    next(t for t in model.graph.initializer if t.name == "mask").CopyFrom(mask)
    compute_in_half(model)
    assert softmax_types(model) == [TensorProto.FLOAT]


@pytest.mark.slow
def test_the_default_model_stays_within_half_on_real_panoramas(tmp_path: Path) -> None:
    info = read_model_info(WEIGHTS / "default.onnx")
    assert not is_vision_transformer(onnx.load(info.path).graph)
    prepare_graph(info, "fp16", tmp_path / "prepared.onnx")
    exact = onnx.load(info.path)
    fold_stored_weights(exact.graph)
    join_gpu_tail(exact)
    images = []
    for path in sorted(PANORAMAS.glob("*.jpg")):
        picture = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        images.append(preprocess(np.asarray(picture, np.uint8), info.input_size))
    found, largest = run_rounded(onnx.load(tmp_path / "prepared.onnx"), images)
    assert len(largest) > 500
    assert max(largest.values()) < 1000  # of 65504: more than two further orders of magnitude
    for image, half in zip(images, found, strict=True):
        expected = run(exact, image=image)
        assert np.percentile(np.abs(half["depth"] / expected["depth"] - 1), 99) < 0.01
        cosines = (half["normals"] * expected["normals"]).sum(-1)
        assert np.degrees(np.arccos(np.clip(np.percentile(cosines, 1), -1, 1))) < 1
        assert np.mean(half["labels"] != expected["labels"]) < 0.005


def wrapping_model(axis: int = 3, negative: bool = True) -> onnx.ModelProto:
    """Concat(last two columns, x, first column) of [1, 2, 4, 6]."""
    node = helper.make_node
    constants = {
        "from": np.array([-2 if negative else 4]),
        "to": np.array([np.iinfo(np.int64).max]),
        "zero": np.array([0]),
        "one": np.array([1]),
        "axis": np.array([axis]),
    }
    shape = [1, 2, 4, 6]
    shape[axis] += 3
    nodes = [
        node("Slice", ["x", "from", "to", "axis"], ["last"]),
        node("Slice", ["x", "zero", "one", "axis"], ["first"]),
        node("Concat", ["last", "x", "first"], ["y"], axis=axis),
    ]
    graph = helper.make_graph(
        nodes,
        "wrap",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 4, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


@pytest.mark.parametrize("negative", [True, False])
def test_columns_are_wrapped_by_one_operator(negative: bool) -> None:
    model = wrapping_model(negative=negative)
    x = np.arange(48, dtype=np.float32).reshape(1, 2, 4, 6)
    assert pad_by_wrapping(model) == 1
    assert [node.op_type for node in model.graph.node] == ["Pad"]
    assert [tensor.name for tensor in model.graph.initializer] == ["wrap/y"]
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_array_equal(run(model, x=x)["y"], np.pad(x, [(0, 0)] * 3 + [(2, 1)], "wrap"))


@pytest.mark.parametrize("change", ["rows", "not the first", "other tensor"])
def test_what_only_looks_like_wrapping_is_left_alone(change: str) -> None:
    model = wrapping_model(axis=2 if change == "rows" else 3, negative=change != "rows")
    if change == "not the first":
        model.graph.initializer[2].CopyFrom(numpy_helper.from_array(np.array([1]), "zero"))
        model.graph.initializer[3].CopyFrom(numpy_helper.from_array(np.array([2]), "one"))
    if change == "other tensor":
        model.graph.node.insert(0, helper.make_node("Neg", ["x"], ["z"]))
        model.graph.node[2].input[0] = "z"
    before = model.SerializeToString()
    assert pad_by_wrapping(model) == 0
    assert model.SerializeToString() == before


@pytest.mark.slow
def test_the_default_model_s_wraps_become_pads_with_equal_outputs() -> None:
    model = onnx.load(WEIGHTS / "default.onnx")
    fold_stored_weights(model.graph)
    join_gpu_tail(model)
    image = np.random.default_rng(0).integers(0, 256, (1, 256, 512, 3), np.uint8)
    expected = run(model, image=image)
    nodes = len(model.graph.node)
    assert pad_by_wrapping(model) > 50
    assert nodes - len(model.graph.node) > 100
    assert not any(node.op_type == "ArgMax" for node in model.graph.node)
    for name, value in run(model, image=image).items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5)
