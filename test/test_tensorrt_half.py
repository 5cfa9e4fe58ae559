"""Conversion of a graph to mixed precision: right types, small differences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from operator_check import unsupported_operators

from mtpano_model.graph.half_precision import compute_in_half


def transformer_like_model() -> onnx.ModelProto:
    """uint8 picture -> conv -> norm -> attention -> residual -> resize -> conv -> exp depth."""
    rng = np.random.default_rng(0)

    def weight(*shape: int, scale: float = 0.2) -> NDArray[np.float32]:
        return rng.normal(scale=scale, size=shape).astype(np.float32)

    constants = {
        "mean": np.float32(127),
        "scale": np.float32(1 / 128),
        "stem": weight(8, 3, 4, 4),
        "tokens_shape": np.array([1, 8, 32], np.int64),
        "gain": np.ones(8, np.float32),
        "bias": np.zeros(8, np.float32),
        "root": np.float32(1 / np.sqrt(8)),
        "big": np.full(8, 1e6, np.float32),
        "unit": np.eye(8, dtype=np.float32),
        "last_axis": np.array([-1], np.int64),
        "epsilon": np.float32(1e-6),
        "sqrt2": np.float32(np.sqrt(2)),
        "one": np.float32(1),
        "tiny": np.float32(1e-9),
        "map_shape": np.array([1, 8, 4, 8], np.int64),
        "factor": np.array([1, 1, 2, 2], np.float32),
        "head": weight(4, 8, 3, 3),
        "head_bias": weight(4),
        "last": weight(1, 4, 1, 1),
    }
    node = helper.make_node
    nodes = [
        node("Cast", ["image"], ["float_image"], to=TensorProto.FLOAT),
        node("Transpose", ["float_image"], ["planes"], perm=[0, 3, 1, 2]),
        node("Sub", ["planes", "mean"], ["centred"]),
        node("Mul", ["centred", "scale"], ["normalised"]),
        node("Conv", ["normalised", "stem"], ["stem_out"], "stem_conv", strides=[4, 4]),
        node("Relu", ["stem_out"], ["stem_act"], "stem_relu"),
        node("Reshape", ["stem_act", "tokens_shape"], ["rows"]),
        node("Transpose", ["rows"], ["tokens"], perm=[0, 2, 1]),
        node("LayerNormalization", ["tokens", "gain", "bias"], ["normed"], "norm", axis=-1),
        node("Transpose", ["normed"], ["keys"], perm=[0, 2, 1]),
        node("MatMul", ["normed", "keys"], ["scores"], "scores_matmul"),
        node("Mul", ["scores", "root"], ["scaled"]),
        node("Softmax", ["scaled"], ["attention"], "softmax", axis=-1),
        node("MatMul", ["attention", "normed"], ["mixed"], "mix_matmul"),
        node("Add", ["tokens", "mixed"], ["residual"], "residual_add"),
        node("Add", ["residual", "big"], ["huge"], "huge_add"),
        node("Sub", ["huge", "big"], ["back"], "huge_sub"),
        node("MatMul", ["back", "unit"], ["product"], "unit_matmul"),
        node("Max", ["product", "tiny"], ["floored"], "tiny_max"),
        node("Mul", ["floored", "floored"], ["square"], "square"),
        node("ReduceMean", ["square", "last_axis"], ["variance"], "variance"),
        node("Add", ["variance", "epsilon"], ["variance_eps"], "epsilon_add"),
        node("Sqrt", ["variance_eps"], ["deviation"], "deviation"),
        node("Div", ["floored", "deviation"], ["standard"], "standardise"),
        node("MatMul", ["standard", "unit"], ["wide"], "wide_matmul"),
        node("Div", ["wide", "sqrt2"], ["wide_over"], "gelu_div"),
        node("Erf", ["wide_over"], ["erf"], "gelu_erf"),
        node("Add", ["erf", "one"], ["erf1"], "gelu_add"),
        node("Mul", ["wide", "erf1"], ["active"], "gelu_mul"),
        node("LayerNormalization", ["active", "gain", "bias"], ["calm"], "norm2", axis=-1),
        node("Transpose", ["calm"], ["columns"], "after_norm", perm=[0, 2, 1]),
        node("Reshape", ["columns", "map_shape"], ["map"]),
        node("Resize", ["map", "", "factor"], ["up"], "up", mode="linear"),
        node("Conv", ["up", "head", "head_bias"], ["head_out"], "head_conv", pads=[1] * 4),
        node("Relu", ["head_out"], ["head_act"]),
        node("Conv", ["head_act", "last"], ["logarithm"], "last_conv"),
        node("Exp", ["logarithm"], ["depth"], "exp"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 16, 32, 3])],
        [helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1, 1, 8, 16])],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def input_types(model: onnx.ModelProto) -> dict[str, str]:
    """Node name -> type of its first input."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, check_type=True)
    kinds = {v.name: v.type.tensor_type.elem_type for v in inferred.graph.value_info}
    kinds |= {v.name: v.type.tensor_type.elem_type for v in inferred.graph.input}
    names = {TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16"}
    return {n.name: names.get(kinds.get(n.input[0], 0), "?") for n in model.graph.node if n.name}


def run(model: onnx.ModelProto, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0]


def test_products_are_half_and_delicate_operators_are_not() -> None:
    model = transformer_like_model()
    compute_in_half(model)
    onnx.checker.check_model(model, full_check=True)
    types = input_types(model)
    for name in (
        "stem_conv",
        "stem_relu",
        "scores_matmul",
        "mix_matmul",
        "residual_add",
        "head_conv",
    ):
        assert types[name] == "fp16", name
    for name in ("gelu_div", "gelu_erf", "gelu_add", "gelu_mul", "after_norm"):
        assert types[name] == "fp16", name
    for name in ("square", "variance", "epsilon_add", "deviation", "standardise"):
        assert types[name] == "fp32", name
    for name in ("norm", "norm2", "softmax", "last_conv", "exp"):
        assert types[name] == "fp32", name


@pytest.mark.parametrize("name", ["huge_add", "tiny_max"])
def test_a_constant_that_half_cannot_hold_keeps_its_node_in_fp32(name: str) -> None:
    model = transformer_like_model()
    compute_in_half(model)
    assert input_types(model)["unit_matmul"] == "fp16"
    assert input_types(model)[name] == "fp32"


def test_the_result_stays_within_half_s_rounding() -> None:
    model = transformer_like_model()
    image = np.random.default_rng(1).integers(0, 256, (1, 16, 32, 3), np.uint8)
    expected = run(model, image)
    compute_in_half(model)
    converted = run(model, image)
    assert converted.dtype == np.float32
    assert not np.array_equal(converted, expected)  # it really computes in another precision
    np.testing.assert_allclose(converted, expected, rtol=0.05)


def test_weights_shrink_to_half_their_bytes_and_inputs_keep_their_types(tmp_path: Path) -> None:
    model = transformer_like_model()
    compute_in_half(model)
    stem = next(t for t in model.graph.initializer if t.name.startswith("stem"))
    assert stem.data_type == TensorProto.FLOAT16
    assert not [t for t in model.graph.initializer if t.name == "stem"]
    factor = next(t for t in model.graph.initializer if t.name == "factor")
    assert factor.data_type == TensorProto.FLOAT
    onnx.save(model, str(tmp_path / "m.onnx"))
    assert unsupported_operators(tmp_path / "m.onnx") == []


def test_converting_twice_changes_nothing() -> None:
    model = transformer_like_model()
    compute_in_half(model)
    once = model.SerializeToString()
    compute_in_half(model)
    assert model.SerializeToString() == once
