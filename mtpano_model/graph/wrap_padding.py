"""Wraps columns around the seam with one operator, for engines that have it.

The network wraps by Slice, Slice and Concat, because OpenVINO has no Pad in wrap mode. TensorRT has
(its parser maps the mode to a slice layer that wraps), and there one kernel takes the place of two
small ones and a copy of the whole map.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mtpano_model.graph.half_precision import without_weights
from mtpano_model.graph.stored_weights import drop_unused_constants

_OPSET = 19  # the first whose Pad wraps


def pad_by_wrapping(model: onnx.ModelProto) -> int:
    """Replace Concat(last columns, x, first columns) by Pad(x) in wrap mode, in place.

    model: opset 18 or 19. Returns how many were replaced; the opset becomes 19 if any.
    """
    graph = model.graph
    producer = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in graph.initializer}
    shapes = _shapes(model)
    pads: dict[str, onnx.NodeProto] = {}
    for node in graph.node:
        if node.op_type != "Concat" or len(node.input) != 3:
            continue
        last, middle, first = node.input
        shape = shapes.get(middle, ())
        columns = [_columns(producer.get(part), middle, shape, constants) for part in (last, first)]
        if None in columns or _axis(node) not in (-1, len(shape) - 1):
            continue
        (begin, end), (first_begin, count) = columns  # type: ignore[misc]
        if end == shape[-1] and first_begin == 0:
            amounts = np.zeros(2 * len(shape), np.int64)
            amounts[len(shape) - 1], amounts[-1] = end - begin, count
            name = f"wrap/{node.output[0]}"
            graph.initializer.append(numpy_helper.from_array(amounts, name))
            pads[node.output[0]] = helper.make_node(
                "Pad", [middle, name], [node.output[0]], name, mode="wrap"
            )
    nodes = [pads.get(node.output[0], node) for node in graph.node]
    used = {name for node in nodes for name in node.input} | {o.name for o in graph.output}
    kept = [node for node in nodes if node.op_type != "Slice" or node.output[0] in used]
    del graph.node[:]
    graph.node.extend(kept)
    drop_unused_constants(graph)
    if pads:
        for opset in model.opset_import:
            if opset.domain in ("", "ai.onnx"):
                opset.version = max(opset.version, _OPSET)
    return len(pads)


def _columns(
    node: onnx.NodeProto | None,
    tensor: str,
    shape: tuple[int, ...],
    constants: dict[str, onnx.TensorProto],
) -> tuple[int, int] | None:
    """(first, one behind the last) where `node` cuts columns out of `tensor`, else None."""
    known = bool(shape) and shape[-1] > 0
    if node is None or node.op_type != "Slice" or node.input[0] != tensor or not known:
        return None
    if any(name not in constants for name in node.input[1:]) or len(node.input) < 4:
        return None
    numbers = [numpy_helper.to_array(constants[name]).reshape(-1) for name in node.input[1:]]
    if any(len(number) != 1 for number in numbers):
        return None
    begin, end, axis, *step = (int(number[0]) for number in numbers)
    width = shape[-1]
    if axis not in (-1, len(shape) - 1) or step not in ([], [1]):
        return None
    begin, end = (min(place + width if place < 0 else place, width) for place in (begin, end))
    return begin, end


def _axis(concat: onnx.NodeProto) -> int:
    return next(a.i for a in concat.attribute if a.name == "axis")


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Static shapes of the tensors between the nodes."""
    inferred = onnx.shape_inference.infer_shapes(without_weights(model), data_prop=True).graph
    return {
        value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
    }
