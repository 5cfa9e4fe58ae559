"""Does every node of an ONNX graph parse in TensorRT 10.3 and in 11.4?

The facts are `tensorrt_operators.csv`, one accepted operator a line; what is absent is refused.

    types            element types accepted (of the operator's main operand)
    attributes       `name=a|b` the values allowed (each element, of a list); `name!=text` text that
                     must not occur; `len(name)=a|b` allowed lengths; `rank(0)=4` rank of an input
    constant_inputs  inputs that must be initializers or Constant nodes when they are given
    min_inputs       inputs that must be given
    max_outputs      outputs that may be used
    source           parser: onnx/onnx-tensorrt docs/operators.md at 10.1, the last table before
                     10.3 (the changelogs from there to 10.15 and 11.0 to 11.5 only add operators);
                     types: the uint8 rule in TensorRT's DataType documentation, 10.3 and 11.1;
                     house: our own narrower choice, so that OpenVINO and ONNX Runtime follow too
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from onnx import helper, numpy_helper

TABLE = Path(__file__).with_name("tensorrt_operators.csv")
OPSETS = range(9, 21)  # what 10.3's parser reads; 11 goes further
# The operand whose type decides, where it is not the first input.
_MAIN_OPERAND = {"Where": 1, "OneHot": 2}


@dataclass(frozen=True)
class Accepted:
    """One line of the table, parsed."""

    types: frozenset[str]
    attributes: tuple[str, ...]
    constant_inputs: tuple[int, ...]
    min_inputs: int
    max_outputs: int | None


@cache
def accepted_operators() -> dict[str, Accepted]:
    """Operator name -> what TensorRT 10.3 to 11.4 take of it."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        return {
            row["operator"]: Accepted(
                types=frozenset(row["types"].split()),
                attributes=tuple(rule.strip() for rule in row["attributes"].split(";") if rule),
                constant_inputs=tuple(int(i) for i in row["constant_inputs"].split()),
                min_inputs=int(row["min_inputs"] or 0),
                max_outputs=int(row["max_outputs"]) if row["max_outputs"] else None,
            )
            for row in csv.DictReader(file)
        }


def unsupported_operators(onnx_path: str | Path) -> list[str]:
    """What TensorRT 10.3 to 11.4 would refuse: one line a finding, empty if the graph is fine.

    Each line names the node, the operator, the attribute or input, and why.
    """
    model = onnx.load(str(onnx_path), load_external_data=False)
    findings = []
    for opset in model.opset_import:
        if opset.domain not in ("", "ai.onnx"):
            continue  # told by its nodes, if it has any
        if opset.version not in OPSETS:
            findings.append(
                f"opset {opset.version}: TensorRT 10.3 reads opsets {OPSETS[0]} to {OPSETS[-1]}"
            )
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    model = onnx.shape_inference.infer_shapes(model)
    return findings + _Graph(model.graph).findings()


class _Graph:
    """Names, types, shapes and constants of one graph (the outer ones' too, for a subgraph)."""

    def __init__(self, graph: onnx.GraphProto, outer: _Graph | None = None) -> None:
        self.graph = graph
        self.tensors: dict[str, onnx.TypeProto.Tensor] = dict(outer.tensors) if outer else {}
        self.constants: dict[str, onnx.TensorProto] = dict(outer.constants) if outer else {}
        for value in (*graph.input, *graph.output, *graph.value_info):
            self.tensors[value.name] = value.type.tensor_type
        for tensor in graph.initializer:
            self.constants[tensor.name] = tensor
            self.tensors[tensor.name] = helper.make_tensor_type_proto(
                tensor.data_type, tensor.dims
            ).tensor_type
        for node in graph.node:
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.name == "value":
                    self.constants[node.output[0]] = attribute.t

    def findings(self) -> list[str]:
        found = []
        for index, node in enumerate(self.graph.node):
            where = f"{node.op_type} '{node.name or f'#{index}'}'"
            found += [f"{where}: {what}" for what in self._node_findings(node)]
            for attribute in node.attribute:
                for inner in (attribute.g, *attribute.graphs):
                    found += _Graph(inner, self).findings()
        return found

    def _node_findings(self, node: onnx.NodeProto) -> Iterator[str]:
        if node.domain not in ("", "ai.onnx"):
            yield f"operator of the foreign domain '{node.domain}'"
            return
        row = accepted_operators().get(node.op_type)
        if row is None:
            yield "not an operator that TensorRT 10.3 accepts"
            return
        yield from self._type_findings(node, row)
        attributes = _attributes(node)
        for rule in row.attributes:
            yield from self._rule_findings(node, attributes, rule)
        for i in row.constant_inputs:
            if i < len(node.input) and node.input[i] and node.input[i] not in self.constants:
                yield f"input {i} ('{node.input[i]}') must be a constant"
        if sum(bool(name) for name in node.input) < row.min_inputs:
            yield f"needs {row.min_inputs} inputs"
        if row.max_outputs is not None and len([o for o in node.output if o]) > row.max_outputs:
            yield f"only {row.max_outputs} output may be used"

    def _type_findings(self, node: onnx.NodeProto, row: Accepted) -> Iterator[str]:
        operand = _MAIN_OPERAND.get(node.op_type, 0)
        names = [node.input[operand] if operand < len(node.input) else node.output[0]]
        if node.op_type == "Cast":
            names.append(node.output[0])
        types = [self._type(name) for name in names]
        for kind in types:
            if kind and kind not in row.types:
                yield f"does not take {kind}"
        if node.op_type == "Cast" and "uint8" in types and not {"float32", "float16"} & set(types):
            yield f"casts {types[0]} to {types[1]}: uint8 converts from and to float only"
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) > 2:
            yield from self._zero_point_findings(node.input[2])

    def _zero_point_findings(self, name: str) -> Iterator[str]:
        if self._type(name) != "int8":
            yield f"zero point of type {self._type(name)}: only symmetric int8 is taken"
        elif name in self.constants and np.any(numpy_helper.to_array(self.constants[name])):
            yield "zero point is not 0: only symmetric int8 is taken"

    def _rule_findings(
        self, node: onnx.NodeProto, attributes: dict[str, Any], rule: str
    ) -> Iterator[str]:
        match = re.fullmatch(r"(?:(len|rank)\((\w+)\)|(\w+))(!?=)(.*)", rule)
        if match is None:
            raise ValueError(f"{TABLE.name}: cannot read the rule '{rule}'")
        function, argument, name, relation, text = match.groups()
        allowed = text.split("|")
        if function == "rank":
            tensor = self.tensors.get(node.input[int(argument)])
            values = [str(len(tensor.shape.dim))] if tensor and tensor.HasField("shape") else []
            name = f"rank of input {argument}"
        elif function == "len":
            values = [str(len(attributes[argument]))] if argument in attributes else []
            name = f"length of {argument}"
        else:
            value = attributes.get(name, [])
            values = [str(v) for v in (value if isinstance(value, list) else [value])]
        for value in values:
            if relation == "=" and value not in allowed:
                yield f"{name}={value}: only {' or '.join(allowed)} is accepted"
            if relation == "!=" and text in value:
                yield f"{name}={value} must not contain '{text}'"

    def _type(self, name: str) -> str | None:
        tensor = self.tensors.get(name)
        if tensor is None or not tensor.elem_type:
            return None
        name = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        return {"float": "float32", "double": "float64"}.get(name, name)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes given, strings decoded; what is absent has the accepted default in every rule."""
    values = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        values[attribute.name] = value.decode() if isinstance(value, bytes) else value
    return values
