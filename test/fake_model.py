"""A tiny ONNX model of the project's contract whose outputs are exact functions of the picture.

With `m` the mean colour of a `decoder_stride` x `decoder_stride` block (RGB, 0..255):

    depth = 1 + m_R / 64 metres      normals = -ray      label = the class whose colour is nearest m
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mtpano_model.classes import load_class_set
from mtpano_model.geometry.sphere import rays


def default_classes() -> list[dict[str, Any]]:
    """The default class set as the metadata's `classes`."""
    classes = load_class_set("indoor18")
    return [
        {"name": name, "color": "#{:02x}{:02x}{:02x}".format(*color), "open": is_open}
        for name, color, is_open in zip(classes.names, classes.palette, classes.open, strict=True)
    ]


def write_fake_model(
    path: str | Path,
    size: tuple[int, int] = (64, 128),
    classes: Sequence[dict[str, Any]] | None = None,
    tail: str = "cpu",
    decoder_stride: int = 2,
    metadata: dict[str, Any] | None = None,
    with_metadata: bool = True,
) -> Path:
    """Write the model and return its path.

    size: network input (H, W). classes: [{"name", "color": "#rrggbb", "open"}], indoor18 if None.
    tail: "cpu" or "gpu", as in the contract. metadata: keys that replace the honest ones.
    """
    path = Path(path)
    height, width = size
    low_height, low_width = height // decoder_stride, width // decoder_stride
    table = list(classes) if classes is not None else default_classes()
    colors = np.array([_rgb(entry["color"]) for entry in table], np.float32)

    # |m - c|^2 is least where 2 m.c - |c|^2 is greatest: a 1x1 convolution.
    constants = {
        "red": np.array([1, 0, 0], np.float32).reshape(1, 3, 1, 1),
        "scale": np.float32(1 / 64),
        "one": np.float32(1),
        "class_weight": (2 * colors / 255).reshape(-1, 3, 1, 1),
        "class_bias": -(colors**2).sum(axis=1) / 255,
        "minus_ray": -rays(low_height, low_width).transpose(2, 0, 1)[None],
    }
    node = helper.make_node
    nodes = [
        node("Cast", ["image"], ["float_image"], to=TensorProto.FLOAT),
        node("Transpose", ["float_image"], ["planes"], perm=[0, 3, 1, 2]),
        node(
            "AveragePool",
            ["planes"],
            ["mean"],
            kernel_shape=[decoder_stride] * 2,
            strides=[decoder_stride] * 2,
        ),
        node("Conv", ["mean", "red"], ["mean_red"]),
        node("Mul", ["mean_red", "scale"], ["scaled_red"]),
        node("Add", ["scaled_red", "one"], ["low_depth"]),
        node("Conv", ["mean", "class_weight", "class_bias"], ["low_logits"]),
    ]
    if tail == "cpu":
        nodes += [
            node("Identity", ["low_depth"], ["depth"]),
            node("Identity", ["low_logits"], ["semseg"]),
            node("Identity", ["minus_ray"], ["normals"]),
        ]
        low = [low_height, low_width]
        outputs = [
            _tensor("depth", TensorProto.FLOAT, [1, 1, *low]),
            _tensor("normals", TensorProto.FLOAT, [1, 3, *low]),
            _tensor("semseg", TensorProto.FLOAT, [1, len(table), *low]),
        ]
        output_size = [low_height, low_width]
    else:
        constants |= {
            "factor": np.array([1, 1, decoder_stride, decoder_stride], np.float32),
            "minus_full_ray": -rays(height, width)[None],
            "zero": np.array([0], np.int64),
            "first": np.array([1], np.int64),
            "last": np.array([low_width - 1], np.int64),
            "end": np.array([low_width], np.int64),
            "crop_from": np.array([decoder_stride], np.int64),
            "crop_to": np.array([decoder_stride + width], np.int64),
            "columns": np.array([3], np.int64),
            "channel": np.array([1], np.int64),
        }
        nodes += [
            node("Slice", ["low_depth", "zero", "first", "columns"], ["left"]),
            node("Slice", ["low_depth", "last", "end", "columns"], ["right"]),
            node("Concat", ["right", "low_depth", "left"], ["wrapped"], axis=3),
            node(
                "Resize",
                ["wrapped", "", "factor"],
                ["wide"],
                mode="linear",
                coordinate_transformation_mode="half_pixel",
            ),
            node("Slice", ["wide", "crop_from", "crop_to", "columns"], ["full_depth"]),
            node("Squeeze", ["full_depth", "channel"], ["depth"]),
            node("Slice", ["low_logits", "zero", "first", "columns"], ["left_logits"]),
            node("Slice", ["low_logits", "last", "end", "columns"], ["right_logits"]),
            node("Concat", ["right_logits", "low_logits", "left_logits"], ["logits3"], axis=3),
            node(
                "Resize",
                ["logits3", "", "factor"],
                ["wide_logits"],
                mode="linear",
                coordinate_transformation_mode="half_pixel",
            ),
            node("Slice", ["wide_logits", "crop_from", "crop_to", "columns"], ["logits"]),
            node("ArgMax", ["logits"], ["ids"], axis=1, keepdims=0),
            node("Cast", ["ids"], ["labels"], to=TensorProto.UINT8),
            node("Identity", ["minus_full_ray"], ["normals"]),
        ]
        outputs = [
            _tensor("depth", TensorProto.FLOAT, [1, height, width]),
            _tensor("normals", TensorProto.FLOAT, [1, height, width, 3]),
            _tensor("labels", TensorProto.UINT8, [1, height, width]),
        ]
        output_size = [height, width]

    graph = helper.make_graph(
        nodes,
        "fake",
        [_tensor("image", TensorProto.UINT8, [1, height, width, 3])],
        outputs,
        [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    if with_metadata:
        facts = {
            "format": 1,
            "class_set": "indoor18" if classes is None else "custom",
            "classes": table,
            "frame": "optical",
            "depth": "range_m",
            "input_size": [height, width],
            "output_size": output_size,
            "tail": tail,
            "precision": "fp32",
            "preset": "fake",
            "revision": "unknown",
            "license": "Apache-2.0",
            "trained_on": "nothing",
        }
        helper.set_model_props(model, {"mtpano": json.dumps(facts | (metadata or {}))})
    path.write_bytes(model.SerializeToString())
    return path


def _tensor(name: str, kind: int, shape: Sequence[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _rgb(color: str) -> tuple[int, int, int]:
    value = int(color.removeprefix("#"), 16)
    return value >> 16, value >> 8 & 255, value & 255
