"""Join the GPU tail onto a model with a CPU tail, without torch.

What the host does after a CPU-tail model (arg-max and nearest pixel for labels, bilinear across the
seam for depth and normals, unit length) becomes part of the graph, so that a GPU hands over uint8
labels instead of logits. The operators are those that TensorRT 10.3 to 11.4 parse: the seam is
closed by Slice and Concat, never by Pad in wrap mode.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.model_info import METADATA_KEY

_PREFIX = "gpu_tail/"
_OUTPUTS = ("depth", "normals", "semseg")
# Below this length a vector has no direction; it stays near zero and the host makes it NaN.
_SHORTEST = 1e-6


def join_gpu_tail(model: onnx.ModelProto) -> None:
    """Turn a CPU-tail `model` into the GPU-tail one of the contract, in place.

    In: depth [1, 1, h, w], normals [1, 3, h, w], semseg [1, C, h, w] (float32), with h and w
    dividing the image's H and W. Out: depth float32 [1, H, W], normals float32 [1, H, W, 3] unit
    length, labels uint8 [1, H, W]. A model that has the GPU tail already is left alone.
    MtpanoError where the outputs are not those of the contract.
    """
    properties = {entry.key: entry for entry in model.metadata_props}
    facts = json.loads(properties[METADATA_KEY].value)
    if facts["tail"] == "gpu":
        return
    height, width = facts["input_size"]
    shapes = {value.name: _shape(value) for value in model.graph.output}
    if set(shapes) != set(_OUTPUTS):
        raise MtpanoError(
            f"the model's outputs are {', '.join(shapes)}, expected {', '.join(_OUTPUTS)}: export "
            "it again with `mtpano export`"
        )
    if shapes["semseg"][1] > 255:
        raise MtpanoError(
            f"the model has {shapes['semseg'][1]} classes, the GPU tail's uint8 labels hold 255: "
            "use backend openvino or onnxruntime"
        )
    low = {name: _free_name(model.graph, name) for name in _OUTPUTS}
    tail = _Tail(model.graph)
    depth = tail.upsample(low["depth"], shapes["depth"], (height, width))
    tail.node("Squeeze", [depth, tail.integers(1)], output="depth")
    normals = tail.upsample(low["normals"], shapes["normals"], (height, width))
    tail.node("Transpose", [tail.unit_length(normals)], output="normals", perm=[0, 2, 3, 1])
    tail.labels(low["semseg"], (height, width))

    del model.graph.output[:]
    model.graph.output.extend(
        [
            helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1, height, width]),
            helper.make_tensor_value_info("normals", TensorProto.FLOAT, [1, height, width, 3]),
            helper.make_tensor_value_info("labels", TensorProto.UINT8, [1, height, width]),
        ]
    )
    facts |= {"tail": "gpu", "output_size": [height, width]}
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

    def upsample(self, tensor: str, shape: Sequence[int], size: tuple[int, int]) -> str:
        """Bilinear [1, c, h, w] -> [1, c, H, W], pixel centres at half integers, columns wrapped.

        One column of the far side on each side is all that bilinear interpolation looks at; the
        grid of the widened picture lies exactly one source column before the picture's own.
        """
        _, channels, low_height, low_width = shape
        height, width = size
        if (low_height, low_width) == size:
            return tensor
        if width % low_width or height % low_height:
            raise MtpanoError(
                f"the decoder's resolution {low_height}x{low_width} does not divide the image's "
                f"{height}x{width}: export the model with another size"
            )
        factor = width // low_width
        last = self.slice_columns(tensor, low_width - 1, low_width)
        first = self.slice_columns(tensor, 0, 1)
        wrapped = self.node("Concat", [last, tensor, first], axis=3)
        sizes = self.integers(1, channels, height, width + 2 * factor)
        wide = self.node(
            "Resize",
            [wrapped, "", "", sizes],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
        return self.slice_columns(wide, factor, factor + width)

    def unit_length(self, vectors: str) -> str:
        """[1, 3, H, W] divided by its length over axis 1."""
        square = self.node("Mul", [vectors, vectors])
        total = self.node("ReduceSum", [square, self.integers(1)], keepdims=1)
        length = self.node("Sqrt", [total])
        floor = self.constant(np.array(_SHORTEST, np.float32))
        return self.node("Div", [vectors, self.node("Max", [length, floor])])

    def labels(self, logits: str, size: tuple[int, int]) -> str:
        """Arg-max where the logits are, then the nearest pixel, as the host does it.

        TensorRT converts to uint8 from floats only, and right before an output.
        """
        ids = self.node("ArgMax", [logits], axis=1, keepdims=1)
        ids = self.node("Cast", [ids], to=TensorProto.FLOAT)
        ids = self.node(
            "Resize",
            [ids, "", "", self.integers(1, 1, *size)],
            mode="nearest",
            coordinate_transformation_mode="half_pixel",
        )
        ids = self.node("Squeeze", [ids, self.integers(1)])
        return self.node("Cast", [ids], output="labels", to=TensorProto.UINT8)


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
