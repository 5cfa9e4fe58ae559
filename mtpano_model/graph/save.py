"""Writing a model: weights stored in half, its metadata, files above 2 GB."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mtpano_model.errors import writing
from mtpano_model.graph.model_info import METADATA_KEY

_PROTOBUF_LIMIT = 1_900_000_000  # a protobuf message ends at 2 GiB
_SMALL = 64  # elements; not worth a Cast


def store_weights_in_half(model: onnx.ModelProto) -> None:
    """Keep float32 weights as fp16 with a Cast each, in place: half the file, fp32 arithmetic.

    Engines fold the casts when they load. Weights that fp16 cannot hold stay as they are.
    """
    casts, kept = [], []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        half = values.astype(np.float16) if tensor.data_type == TensorProto.FLOAT else None
        if half is None or values.size < _SMALL or not np.isfinite(half).all():
            kept.append(tensor)
            continue
        stored = f"{tensor.name}/stored"
        kept.append(numpy_helper.from_array(half, stored))
        casts.append(
            helper.make_node(
                "Cast", [stored], [tensor.name], f"load/{tensor.name}", to=TensorProto.FLOAT
            )
        )
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def update_metadata(model: onnx.ModelProto, **facts: Any) -> None:
    """Change entries of the model's metadata, in place."""
    entry = next(p for p in model.metadata_props if p.key == METADATA_KEY)
    entry.value = json.dumps(json.loads(entry.value) | facts)


def save_model(model: onnx.ModelProto, path: Path) -> None:
    """Write PATH completely or not at all; weights above 2 GB go to PATH.data beside it.

    MtpanoError if it cannot be written.
    """
    large = sum(len(t.raw_data) for t in model.graph.initializer) > _PROTOBUF_LIMIT
    partial = path.with_name(f".{path.name}.partial")
    external: dict[str, Any] = {}
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if large:
            # The graph names its data file, so that one is written under its final name; onnx
            # would append to an older one.
            data = path.with_name(f"{path.name}.data")
            data.unlink(missing_ok=True)
            external = {"save_as_external_data": True, "location": data.name}
        try:
            onnx.save_model(model, partial, **external)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
