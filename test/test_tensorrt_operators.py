"""The operator table against graphs that TensorRT is known to take and to refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from fake_model import write_fake_model
from onnx import TensorProto, helper, numpy_helper
from operator_check import accepted_operators, unsupported_operators


def save(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, Any] | None = None,
    kind: int = TensorProto.FLOAT,
    opset: int = 18,
) -> Path:
    """A graph x [1, 4, 6, 8] -> y of the given nodes, written to `path`."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, [1, 4, 6, 8])],
        [onnx.ValueInfoProto(name="y")],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets)
    onnx.save(model, str(path))
    return path


def test_the_graphs_of_the_contract_pass(tmp_path: Path) -> None:
    assert unsupported_operators(write_fake_model(tmp_path / "cpu.onnx")) == []


REFUSED = {
    "cubic": (
        [helper.make_node("Resize", ["x", "", "s"], ["y"], mode="cubic")],
        {"s": np.array([1, 1, 2, 2], np.float32)},
        "mode=cubic",
    ),
    "antialias": (
        [helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear", antialias=1)],
        {"s": np.array([1, 1, 0.5, 0.5], np.float32)},
        "antialias=1",
    ),
    "ellipsis": (
        [helper.make_node("Einsum", ["x", "x"], ["y"], equation="...ij,...ij->...i")],
        {},
        "must not contain '...'",
    ),
    "dynamic quantization": (
        [helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])],
        {},
        "not an operator",
    ),
    "foreign": (
        [helper.make_node("FusedConv", ["x"], ["y"], domain="com.microsoft")],
        {},
        "com.microsoft",
    ),
    "asymmetric int8": (
        [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])],
        {"s": np.float32(0.1), "z": np.int8(3)},
        "zero point is not 0",
    ),
    "uint8 quantization": (
        [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])],
        {"s": np.float32(0.1), "z": np.uint8(0)},
        "only symmetric int8",
    ),
    "moving axes": (
        [helper.make_node("ReduceSum", ["x", "a"], ["y"]), helper.make_node("Shape", ["x"], ["a"])][
            ::-1
        ],
        {},
        "must be a constant",
    ),
    "statistics of a norm": (
        [
            helper.make_node("LayerNormalization", ["x", "w"], ["n", "mean"]),
            helper.make_node("Add", ["n", "mean"], ["y"]),
        ],
        {"w": np.ones(8, np.float32)},
        "only 1 output",
    ),
    "squeeze of everything": ([helper.make_node("Squeeze", ["x"], ["y"])], {}, "needs 2 inputs"),
    "uint8 from integers": (
        [
            helper.make_node("ArgMax", ["x"], ["i"], axis=1, keepdims=0),
            helper.make_node("Cast", ["i"], ["y"], to=TensorProto.UINT8),
        ],
        {},
        "uint8 converts from and to float only",
    ),
    "double": (
        [
            helper.make_node("Cast", ["x"], ["d"], to=TensorProto.DOUBLE),
            helper.make_node("Relu", ["d"], ["y"]),
        ],
        {},
        "does not take float64",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_names_what_would_be_refused(tmp_path: Path, name: str) -> None:
    nodes, constants, why = REFUSED[name]
    findings = unsupported_operators(save(tmp_path / "m.onnx", nodes, constants))
    assert any(why in line for line in findings), findings
    assert any(nodes[-1].op_type in line or nodes[0].op_type in line for line in findings)


def test_uint8_may_not_be_computed_with(tmp_path: Path) -> None:
    nodes = [helper.make_node("Transpose", ["x"], ["y"], perm=[0, 2, 3, 1])]
    path = save(tmp_path / "m.onnx", nodes, kind=TensorProto.UINT8)
    assert any("does not take uint8" in line for line in unsupported_operators(path))


def test_looks_into_subgraphs(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [helper.make_node("Attention", ["x", "x", "x"], ["b"])],
        "branch",
        [],
        [onnx.ValueInfoProto(name="b")],
    )
    nodes = [helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)]
    path = save(tmp_path / "m.onnx", nodes, {"c": np.array(True)})
    assert any("Attention" in line for line in unsupported_operators(path))


def test_opset_23_is_too_new_for_jetpack_6(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])], opset=23)
    assert any("opset 23" in line for line in unsupported_operators(path))


def test_the_table_accepts_what_the_parser_takes_and_nothing_it_refuses() -> None:
    accepted = set(accepted_operators())
    takes = "Conv Resize Slice Concat MatMul Softmax LayerNormalization Einsum GridSample ArgMax"
    refuses = "QLinearConv QLinearMatMul DynamicQuantizeLinear AffineGrid Attention ConvInteger"
    assert set(takes.split()) <= accepted
    assert not set(refuses.split()) & accepted


def test_every_line_names_a_real_operator() -> None:
    # ONNX knows them all but the parser's own historical ones.
    historical = {"ImageScaler", "ParametricSoftplus", "ScaledTanh"}
    for name in set(accepted_operators()) - historical:
        assert onnx.defs.has(name), name
