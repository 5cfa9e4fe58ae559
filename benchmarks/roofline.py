"""What to expect on GPUs, computed from the graph: nothing here was measured.

Each node of the graph takes at least as long as its arithmetic at the device's peak, and as moving
its inputs, weights and outputs once through the device's memory, whichever is longer (Williams et
al., "Roofline", 2009). Engines fuse nodes and so move less; they also reach a part of the peaks
only. The sum is therefore a guide, not a bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import shape_inference

BYTES_A_VALUE = 2  # fp16


@dataclass(frozen=True)
class Device:
    """Dense fp16 peak with sums in fp32, as TensorRT computes, and memory bandwidth: data sheets.

    GeForce cards reach half of the peak that is advertised, which has sums in fp16.
    """

    name: str
    tera_flops: float
    gigabytes_per_second: float


DEVICES = (
    Device("Jetson Orin Nano 8 GB", 10.0, 68.0),
    Device("Jetson Orin NX 16 GB", 15.0, 102.4),
    Device("Jetson AGX Orin 64 GB", 42.5, 204.8),
    Device("Jetson AGX Thor", 517.0, 273.0),
    Device("GeForce RTX 3060", 25.5, 360.0),
    Device("GeForce RTX 4090", 165.0, 1008.0),
)


@dataclass(frozen=True)
class Cost:
    """Of one node: floating-point operations and values moved."""

    flops: float
    values: float


def roofline(model: Path) -> dict[str, Any]:
    """Totals of the graph and milliseconds by device, marked as computed."""
    costs = graph_costs(onnx.load(str(model)))
    return {
        "note": "computed from the graph's operations and data sheets, not measured",
        "gflop": round(sum(cost.flops for cost in costs) / 1e9, 3),
        "megabytes_fp16": round(sum(cost.values for cost in costs) * BYTES_A_VALUE / 1e6, 1),
        "milliseconds": {device.name: round(milliseconds(costs, device), 2) for device in DEVICES},
    }


def milliseconds(costs: list[Cost], device: Device) -> float:
    """Sum over the nodes of the longer of arithmetic and memory traffic."""
    seconds = sum(
        max(
            cost.flops / (device.tera_flops * 1e12),
            cost.values * BYTES_A_VALUE / (device.gigabytes_per_second * 1e9),
        )
        for cost in costs
    )
    return seconds * 1e3


def graph_costs(model: onnx.ModelProto) -> list[Cost]:
    """Cost of every node with static shapes."""
    graph = shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    shapes |= {weight.name: list(weight.dims) for weight in graph.initializer}
    return [node_cost(node, shapes) for node in graph.node if node.op_type not in VIEWS]


# Engines turn these into other strides or other names for the same memory.
VIEWS = {"Constant", "Flatten", "Identity", "Reshape", "Shape", "Squeeze", "Unsqueeze"}


def node_cost(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> Cost:
    """2 operations a multiply-add; one a value for everything that is not a product of matrices."""
    inputs = [shapes.get(name, []) for name in node.input if name]
    outputs = [shapes.get(name, []) for name in node.output if name]
    values = float(sum(math.prod(shape) for shape in inputs + outputs if shape))
    produced = float(sum(math.prod(shape) for shape in outputs if shape))
    if node.op_type in ("Conv", "ConvTranspose"):
        # weight [out, in / groups, kh, kw], or [in, out / groups, kh, kw] when transposed.
        spread = math.prod(inputs[1][1:])
        sites = produced if node.op_type == "Conv" else float(math.prod(inputs[0]))
        return Cost(2.0 * spread * sites, values)
    if node.op_type in ("MatMul", "Gemm"):
        transposed = any(a.name == "transA" and a.i for a in node.attribute)
        inner = inputs[0][0] if transposed else inputs[0][-1]
        return Cost(2.0 * inner * produced, values)
    return Cost(produced, values)
