"""Weights stored in half precision, brought to the type that the graph computes in."""

from __future__ import annotations

import onnx
from onnx import TensorProto, numpy_helper


def fold_stored_weights(graph: onnx.GraphProto) -> None:
    """Replace every Constant, and every Cast of a constant to float32, by an initializer, in place.

    A model file may keep its weights as fp16 with a Cast each to stay small. TensorRT takes a Conv
    whose weights come out of a Cast for one with weights that change, which is slower and bars
    fusions.
    """
    for index in reversed(range(len(graph.node))):
        node = graph.node[index]
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            graph.initializer.append(node.attribute[0].t)
            graph.initializer[-1].name = node.output[0]
            del graph.node[index]
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for index in reversed(range(len(graph.node))):
        node = graph.node[index]
        if node.op_type != "Cast" or node.input[0] not in constants:
            continue
        if node.attribute[0].i == TensorProto.FLOAT:
            value = numpy_helper.to_array(constants[node.input[0]]).astype("float32")
            graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
            del graph.node[index]
    drop_unused_constants(graph)


def drop_unused_constants(graph: onnx.GraphProto) -> None:
    """Remove the initializers that no node uses, in place."""
    used = {name for node in graph.node for name in node.input} | {o.name for o in graph.output}
    used |= _names_in_subgraphs(graph)
    for index in reversed(range(len(graph.initializer))):
        if graph.initializer[index].name not in used:
            del graph.initializer[index]


def _names_in_subgraphs(graph: onnx.GraphProto) -> set[str]:
    names: set[str] = set()
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                names |= {name for child in inner.node for name in child.input}
                names |= _names_in_subgraphs(inner)
    return names
