"""Converts an fp32 graph to fp16 where that is safe, without torch.

Strongly typed TensorRT uses exactly the types of the graph, so the precision is decided here:
convolutions, matrix products and what lies between them in fp16, the softmax of an attention whose
queries are scaled first among it (TensorRT fuses an attention of one precision alone, and adds up
in fp32 inside); norms, any other softmax, reductions, what comes before the first product, and
everything from an output back to its last one in fp32.

onnxconverter-common's converter (1.16) was read beside it: it takes a list of nodes to keep in
fp32, and which ones those are is what this module decides; it would clamp weights beyond 1e4, and
cast before and after every kept node instead of once where two precisions meet.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mtpano_model.graph.attention import attention_weights

_PRODUCTS = {"Conv", "ConvTranspose", "MatMul", "Gemm", "Einsum"}
# Exact, or no worse than rounding the result: these follow their inputs into fp16.
_FOLLOWER_NAMES = """
    Abs Add AveragePool BatchNormalization Clip Concat DepthToSpace Div Elu Erf Expand Flatten
    Gather Gelu GlobalAveragePool HardSigmoid HardSwish Identity LeakyRelu Max MaxPool Min Mul Neg
    PRelu Pad Relu Reshape Resize Sigmoid Slice SpaceToDepth Split Squeeze Sub Tanh Tile Transpose
    Unsqueeze Where
"""
_FOLLOWERS = frozenset(_FOLLOWER_NAMES.split())
# Computed in fp32 but giving plain activations: what follows them is in fp16 again.
_ISLANDS = {"LayerNormalization", "InstanceNormalization", "GroupNormalization", "Softmax"}
# Inputs that stay float32 by ONNX's definition: Resize's region and scales.
_FIXED_INPUTS = {"Resize": (1, 2)}
_SMALL = 64  # elements; more is a weight
_LARGEST_HALF = float(np.finfo(np.float16).max)


def compute_in_half(model: onnx.ModelProto) -> None:
    """Turn `model` (opset 13 to 20, float32) into its mixed-precision twin, in place.

    Inputs and outputs keep their types. A node stays in fp32 when fp16 cannot hold a constant of
    it. Graphs with control flow keep fp32 inside and around it.
    """
    inferred = onnx.shape_inference.infer_shapes(without_weights(model), data_prop=True)
    _Conversion(model.graph, _float_tensors(inferred.graph)).run()
    onnx.shape_inference.infer_shapes(without_weights(model), check_type=True, strict_mode=True)


class _Conversion:
    """Walks the nodes once in order and casts a tensor where two precisions meet."""

    def __init__(self, graph: onnx.GraphProto, floats: set[str]) -> None:
        self.graph = graph
        self.floats = floats  # float32 in the original
        self.half: set[str] = set()  # of those, fp16 by now
        self.activations: set[str] = set()  # those that a follower takes in fp16
        self.casts: dict[tuple[str, int], str] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.tails = _tail_nodes(graph)
        self.weights = attention_weights(graph)

    def run(self) -> None:
        for index, node in enumerate(self.graph.node):
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            half = index not in self.tails and self._may_be_half(node)
            self._convert_inputs(copy, half)
            self.nodes.append(copy)
            outputs = {name for name in node.output if name in self.floats}
            if half:
                self.half |= outputs
            if half or (node.op_type in _ISLANDS and index not in self.tails):
                self.activations |= outputs
        del self.graph.node[:]
        self.graph.node.extend(self.nodes)
        del self.graph.value_info[:]
        self._drop_unused_constants()

    def _may_be_half(self, node: onnx.NodeProto) -> bool:
        floats = [name for name in self._moving_inputs(node) if name in self.floats]
        if not floats:
            return False
        if not all(self._fits_half(name) for name in floats):
            return False
        if node.op_type in _PRODUCTS:
            return True
        if node.output[0] in self.weights:
            return node.input[0] in self.half
        if node.op_type not in _FOLLOWERS or not self.activations.intersection(floats):
            return False
        if node.op_type == "Div":  # by a constant, as in GELU; not by a length or a deviation
            return node.input[1] in self.constants
        return node.op_type != "Mul" or len(set(node.input)) > 1  # a square overflows at 256

    def _moving_inputs(self, node: onnx.NodeProto) -> Iterable[str]:
        fixed = _FIXED_INPUTS.get(node.op_type, ())
        return (name for i, name in enumerate(node.input) if name and i not in fixed)

    def _fits_half(self, name: str) -> bool:
        if name not in self.constants:
            return True
        values = numpy_helper.to_array(self.constants[name])
        if values.size == 1:  # an epsilon or a scale must not vanish; of many weights some may
            with np.errstate(over="ignore"):
                half = float(values.reshape(()).astype(np.float16))
            return np.isfinite(half) and (half != 0) == (float(values.reshape(())) != 0)
        return values.size == 0 or float(np.abs(values).max()) <= _LARGEST_HALF

    def _convert_inputs(self, node: onnx.NodeProto, half: bool) -> None:
        fixed = _FIXED_INPUTS.get(node.op_type, ())
        untyped = node.op_type in ("Cast", "Shape", "Size")
        for i, name in enumerate(node.input):
            if name not in self.floats or untyped:
                continue
            wanted = TensorProto.FLOAT16 if half and i not in fixed else TensorProto.FLOAT
            present = TensorProto.FLOAT16 if name in self.half else TensorProto.FLOAT
            if wanted != present:
                node.input[i] = self._cast(name, wanted)

    def _cast(self, name: str, kind: int) -> str:
        """Name of the tensor in the other precision; a constant is converted, not cast."""
        if (name, kind) in self.casts:
            return self.casts[name, kind]
        other = f"{name}/{'half' if kind == TensorProto.FLOAT16 else 'float'}"
        if name in self.constants:
            values = numpy_helper.to_array(self.constants[name]).astype(np.float16)
            self.graph.initializer.append(numpy_helper.from_array(values, other))
        else:
            self.nodes.append(helper.make_node("Cast", [name], [other], f"cast/{other}", to=kind))
        self.casts[name, kind] = other
        return other

    def _drop_unused_constants(self) -> None:
        used = {name for node in self.graph.node for name in node.input}
        replaced = {name for name, _ in self.casts if name in self.constants}
        for index in reversed(range(len(self.graph.initializer))):
            name = self.graph.initializer[index].name
            if name in replaced and name not in used:
                del self.graph.initializer[index]


def _tail_nodes(graph: onnx.GraphProto) -> set[int]:
    """Indices of the nodes from every output back to, and including, its last convolution."""
    producer = {name: i for i, node in enumerate(graph.node) for name in node.output}
    waiting = [value.name for value in graph.output]
    tail: set[int] = set()
    while waiting:
        index = producer.get(waiting.pop())
        if index is None or index in tail:
            continue
        tail.add(index)
        if graph.node[index].op_type not in _PRODUCTS:
            waiting += graph.node[index].input
    return tail


def without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose weights are inputs: shape inference stops at 2 GB of model otherwise."""
    light = onnx.ModelProto(ir_version=model.ir_version)
    light.opset_import.extend(model.opset_import)
    light.graph.name = model.graph.name
    light.graph.node.extend(model.graph.node)
    light.graph.input.extend(model.graph.input)
    light.graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:
        is_float = tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16)
        if is_float and math.prod(tensor.dims) > _SMALL:  # the scales of a Resize decide shapes
            value = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            light.graph.input.append(value)
        else:
            light.graph.initializer.append(tensor)
    return light


def _float_tensors(graph: onnx.GraphProto) -> set[str]:
    """Names of the float32 tensors of a graph whose types were inferred."""
    values = (*graph.input, *graph.output, *graph.value_info)
    constants = {t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT}
    return constants | {v.name for v in values if v.type.tensor_type.elem_type == TensorProto.FLOAT}
