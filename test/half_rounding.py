"""Runs a mixed-precision graph with every half tensor really rounded to half.

ONNX Runtime's CPU kernels compute half operators in float32 and drop the casts between them, which
hides an overflow. Here each node runs in float32, and what it gives in half is rounded behind it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mtpano_model.graph.attention import attention_weights

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def run_rounded(
    model: onnx.ModelProto, images: list[NDArray[np.uint8]]
) -> tuple[list[dict[str, NDArray[Any]]], dict[str, float]]:
    """Outputs for each image, and the largest magnitude of every half tensor by name."""
    rounded, names = _rounded(model)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = ort.InferenceSession(
        rounded.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    wanted = [output.name for output in session.get_outputs()]
    largest: dict[str, float] = {}
    outputs = []
    for image in images:
        found = dict(zip(wanted, session.run(wanted, {"image": image}), strict=True))
        for name, peak in names.items():
            largest[name] = max(largest.get(name, 0.0), float(found.pop(peak)))
        outputs.append(found)
    return outputs, largest


def half_tensors(model: onnx.ModelProto) -> list[str]:
    """Names of the tensors between nodes that are half."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    kinds = {v.name: v.type.tensor_type.elem_type for v in inferred.graph.value_info}
    return [n for node in model.graph.node for n in node.output if kinds.get(n) == HALF]


def _rounded(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, str]]:
    half = set(half_tensors(model))
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    for tensor in graph.initializer:
        if tensor.data_type == HALF:
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    nodes, peaks = [], {}
    for node in graph.node:
        nodes.append(node)
        for i, name in enumerate(node.output):
            if name not in half:
                continue
            raw, stored = f"{name}/raw", f"{name}/stored"
            if node.op_type == "Cast":
                nodes[-1] = helper.make_node("Cast", [node.input[0]], [stored], to=HALF)
            else:
                node.output[i] = raw
                nodes.append(helper.make_node("Cast", [raw], [stored], to=HALF))
            nodes.append(helper.make_node("Cast", [stored], [name], to=FLOAT))
            size, peak = f"{name}/size", f"{name}/peak"
            nodes.append(helper.make_node("Abs", [name], [size]))
            nodes.append(helper.make_node("ReduceMax", [size], [peak], keepdims=0))
            graph.output.append(helper.make_tensor_value_info(peak, FLOAT, []))
            peaks[name] = peak
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    return result, peaks


def softmax_types(model: onnx.ModelProto) -> list[int]:
    """The element type of every Softmax that attends."""
    weights = attention_weights(model.graph)
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    return [v.type.tensor_type.elem_type for v in inferred.value_info if v.name in weights]
