"""Attention whose queries are scaled before they are multiplied with the keys, for fp16.

softmax(s (Q K)) and softmax((s Q) K) are the same numbers, but the unscaled products of a vision
transformer leave the range of fp16 (65504), and TensorRT fuses the second form alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import helper, numpy_helper

# What may stand between the scale and the softmax without changing what is scaled.
_PASSED = {"Add", "Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Where"}
# Each of PD-BridgeNet's two streams has one cross-attention; a vision transformer has more.
_BRIDGES = 2


def scale_queries_first(graph: onnx.GraphProto) -> int:
    """Rewrite `Mul(MatMul(Q, K), s)` before a Softmax to `MatMul(Mul(Q, s), K)`, in place.

    A Div by a constant likewise. Returns how many products were rewritten.
    """
    lookup = _Lookup(graph)
    found = {
        id(scale): (scale, product, factor)
        for softmax in graph.node
        if softmax.op_type == "Softmax"
        for scale, product, factor in lookup.scaled_products(softmax.input[0])
    }
    for number, (scale, product, factor) in enumerate(found.values()):
        scaled = f"{product.input[0]}/scaled_{number}"
        node = helper.make_node(
            scale.op_type, [product.input[0], factor], [scaled], f"scale_queries/{number}"
        )
        # The product takes over the name of what was its scaled output.
        product.input[0] = scaled
        product.output[0] = scale.output[0]
        graph.node.remove(scale)
        index = next(i for i, each in enumerate(graph.node) if each == product)
        graph.node.insert(index, node)
    return len(found)


def attention_weights(graph: onnx.GraphProto) -> set[str]:
    """Outputs of each Softmax between two products, without a scale before it.

    Its scores are what the first product gives and it weighs values, so that TensorRT can make all
    three one kernel, if their precision is one.
    """
    lookup = _Lookup(graph)
    return {
        node.output[0]
        for node in graph.node
        if node.op_type == "Softmax"
        and lookup.comes_from_product(node.input[0])
        and lookup.goes_to_product(node.output[0])
    }


def is_vision_transformer(graph: onnx.GraphProto) -> bool:
    """Whether the graph attends more often than the bridges of a convolutional network do."""
    lookup = _Lookup(graph)
    # Learnt up-sampling has a softmax as well, over four neighbours, and no product behind it.
    attending = [
        node
        for node in graph.node
        if node.op_type == "Softmax" and lookup.goes_to_product(node.output[0])
    ]
    return len(attending) > _BRIDGES


class _Lookup:
    """Who makes and who takes each tensor, and which tensors are single numbers."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.producer = {name: node for node in graph.node for name in node.output}
        self.uses: dict[str, int] = {value.name: 1 for value in graph.output}
        self.takers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.uses[name] = self.uses.get(name, 0) + 1
                self.takers.setdefault(name, []).append(node)
        self.scalars = {t.name for t in graph.initializer if numpy_helper.to_array(t).size == 1}
        for node in graph.node:
            constant = node.op_type == "Constant" and node.attribute[0].name == "value"
            if constant and numpy_helper.to_array(node.attribute[0].t).size == 1:
                self.scalars.add(node.output[0])

    def comes_from_product(self, tensor: str) -> bool:
        """Whether it is what a product gives, with nothing between that scales."""
        node = self.producer.get(tensor)
        if node is None:
            return False
        passes = node.op_type in _PASSED and any(map(self.comes_from_product, node.input))
        return node.op_type == "MatMul" or passes

    def goes_to_product(self, tensor: str) -> bool:
        """Whether a product takes it, with nothing between that scales."""
        return any(
            taker.op_type == "MatMul"
            or (taker.op_type in _PASSED and any(map(self.goes_to_product, taker.output)))
            for taker in self.takers.get(tensor, ())
        )

    def scaled_products(self, tensor: str) -> Iterator[tuple[onnx.NodeProto, onnx.NodeProto, str]]:
        """(scale, product, factor) for each scale by a number right behind a product."""
        node = self.producer.get(tensor)
        if node is None:
            return
        if node.op_type in _PASSED:
            for name in node.input:
                yield from self.scaled_products(name)
        elif node.op_type in ("Mul", "Div"):
            pairs = [(node.input[0], node.input[1])]
            if node.op_type == "Mul":
                pairs.append((node.input[1], node.input[0]))
            for other, factor in pairs:
                product = self.producer.get(other)
                if (
                    factor in self.scalars
                    and product is not None
                    and product.op_type == "MatMul"
                    and self.uses[other] == 1
                ):
                    yield node, product, factor
