"""Join the GPU tail onto a model with a CPU tail, without torch.

What the host does after a CPU-tail model (bilinear across the seam, unit length, the best logit)
becomes part of the graph, so that a GPU hands over uint8 labels instead of logits. The operators
are those that TensorRT 10.3 to 11.4 parse, and OpenVINO: the seam is closed by Slice and Concat,
never by Pad in wrap mode.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import gcd

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mtpano_model.errors import MtpanoError
from mtpano_model.graph import contract
from mtpano_model.graph.model_info import METADATA_KEY
from mtpano_model.pictures.size import Size
from mtpano_model.tasks import SEMSEG

_PREFIX = "gpu_tail/"
# Below this length a vector has no direction; it stays near zero and the host makes it NaN.
_SHORTEST = 1e-6


def join_gpu_tail(model: onnx.ModelProto, size: Size | None = None) -> None:
    """Turn a CPU-tail `model` into its GPU-tail twin (see `graph.contract`), in place.

    size: (H, W) of what it gives, the image's if None. A model that has the GPU tail already is
    left alone. MtpanoError if the outputs are not those of the contract.
    """
    properties = {entry.key: entry for entry in model.metadata_props}
    facts = json.loads(properties[METADATA_KEY].value)
    if facts["tail"] == "gpu":
        return
    size = size or tuple(facts["input_size"])
    shapes = {value.name: _shape(value) for value in model.graph.output}
    tasks = contract.tasks_among(shapes, "cpu")
    names = [task.name for task in tasks]
    if set(shapes) != set(names):
        raise MtpanoError(
            f"the model's outputs are {', '.join(shapes)}, expected {', '.join(names)}: export "
            "it again with `mtpano export`"
        )
    num_classes = shapes[SEMSEG.name][1]
    if num_classes > 255:
        raise MtpanoError(
            f"the model has {num_classes} classes, the GPU tail's uint8 labels hold 255: "
            "use backend openvino or onnxruntime"
        )
    low = {name: _free_name(model.graph, name) for name in names}
    tail = _Tail(model.graph)
    del model.graph.output[:]
    for task in tasks:
        final = contract.output_tensor(task, "gpu", size, num_classes)
        planes = tail.upsample(low[task.name], shapes[task.name], size)
        if task.kind == "classes":
            tail.labels(planes, num_classes, final.name)
        else:
            if task.kind == "direction":
                planes = tail.unit_length(planes)
            if len(final.shape) == 3:
                tail.node("Squeeze", [planes, tail.integers(1)], output=final.name)
            else:
                tail.node("Transpose", [planes], output=final.name, perm=[0, 2, 3, 1])
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(final.dtype))
        model.graph.output.append(helper.make_tensor_value_info(final.name, kind, final.shape))
    facts |= {"tail": "gpu", "output_size": list(size)}
    facts.pop("output_sizes", None)
    properties[METADATA_KEY].value = json.dumps(facts)


class _Tail:
    """Appends nodes and constants to a graph, with names of their own."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.count = 0

    def node(self, operator: str, inputs: Sequence[str], output: str = "", **attributes) -> str:
        """Append one node; its output's name is made up where none is given."""
        self.count += 1
        name = f"{_PREFIX}{self.count}_{operator}"
        output = output or name
        self.graph.node.append(helper.make_node(operator, inputs, [output], name, **attributes))
        return output

    def constant(self, value: NDArray) -> str:
        """Append one initializer."""
        self.count += 1
        name = f"{_PREFIX}{self.count}_constant"
        self.graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def integers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def slice_columns(self, tensor: str, begin: int, end: int) -> str:
        return self.node(
            "Slice", [tensor, self.integers(begin), self.integers(end), self.integers(3)]
        )

    def upsample(self, tensor: str, shape: Sequence[int], size: Size) -> str:
        """Bilinear [1, c, h, w] -> [1, c, H, W], pixel centres at half integers, columns wrapped.

        With W / w = a / b in lowest terms, b columns of the far side on each side become exactly a,
        so that the grid of the widened picture falls on the picture's own.
        """
        _, channels, low_height, low_width = shape
        height, width = size
        if (low_height, low_width) == size:
            return tensor
        common = gcd(width, low_width)
        more, columns = width // common, low_width // common
        last = self.slice_columns(tensor, low_width - columns, low_width)
        first = self.slice_columns(tensor, 0, columns)
        wrapped = self.node("Concat", [last, tensor, first], axis=3)
        sizes = self.integers(1, channels, height, width + 2 * more)
        wide = self.node(
            "Resize",
            [wrapped, "", "", sizes],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
        return self.slice_columns(wide, more, more + width)

    def unit_length(self, vectors: str) -> str:
        """[1, 3, H, W] divided by its length over axis 1."""
        square = self.node("Mul", [vectors, vectors])
        total = self.node("ReduceSum", [square, self.integers(1)], keepdims=1)
        length = self.node("Sqrt", [total])
        floor = self.constant(np.array(_SHORTEST, np.float32))
        return self.node("Div", [vectors, self.node("Max", [length, floor])])

    def labels(self, logits: str, num_classes: int, output: str) -> str:
        """The first of the greatest logits [1, C, H, W] -> [1, H, W]; 255 where none is a number.

        Not by ArgMax, which TensorRT's parser makes a TopK, slow and never fused. TensorRT converts
        to uint8 from floats only, and right before an output.
        """
        best = self.node("ReduceMax", [logits, self.integers(1)], keepdims=1)
        is_best = self.node("GreaterOrEqual", [logits, best])
        ids = self.constant(np.arange(num_classes, dtype=np.float32).reshape(1, -1, 1, 1))
        none = self.constant(np.array(255, np.float32))
        candidates = self.node("Where", [is_best, ids, none])
        first = self.node("ReduceMin", [candidates, self.integers(1)], keepdims=0)
        return self.node("Cast", [first], output=output, to=TensorProto.UINT8)


def _free_name(graph: onnx.GraphProto, name: str) -> str:
    """Rename the tensor `name`, so that the tail may use the name for its own output."""
    inner = f"{_PREFIX}decoder_{name}"
    for node in graph.node:
        for names in (node.input, node.output):
            for i, used in enumerate(names):
                if used == name:
                    names[i] = inner
    for value in graph.value_info:
        if value.name == name:
            value.name = inner
    return inner


def _shape(value: onnx.ValueInfoProto) -> list[int]:
    return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
