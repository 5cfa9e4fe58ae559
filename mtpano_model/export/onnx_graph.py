"""Exports a network as one self-contained ONNX file: uint8 picture in, named outputs out."""

from __future__ import annotations

import json
import logging
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from onnxscript import rewriter
from torch import Tensor, nn

from mtpano_model.classes import load_class_set
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import frame_matrix
from mtpano_model.graph.attention import scale_queries_first
from mtpano_model.graph.contract import IMAGE, OUTPUTS
from mtpano_model.graph.model_info import FORMAT, METADATA_KEY
from mtpano_model.network import PDBridgeNet
from mtpano_model.network.layers import normalize_vectors
from mtpano_model.pictures.size import Size
from mtpano_model.tasks import NORMALS, SEMSEG, Task

OPSET = 18  # 17 gives an invalid model, 23 emits Attention, which JetPack 6's TensorRT lacks


@dataclass(frozen=True)
class ModelFacts:
    """Metadata of a model file beside the network's configuration."""

    license: str = "unknown"
    trained_on: str = "unknown"


class CPUTailGraph(nn.Module):
    """uint8 RGB [B, H, W, 3] -> the arrays of the CPU tail (see `graph.contract`), in order.

    tasks: what they hold. Normals are in the optical frame whatever frame the network predicts
    them in.
    """

    to_optical: Tensor

    def __init__(self, net: PDBridgeNet):
        super().__init__()
        self.net = net
        self.tasks: tuple[Task, ...] = tuple(t for t in OUTPUTS if t.name in net.config.tasks)
        matrix = torch.from_numpy(frame_matrix(net.config.normals_frame, "optical")).float()
        self.register_buffer("to_optical", matrix[:, :, None, None])
        self.turn = net.config.normals_frame != "optical"

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        final = self.net(image.float().permute(0, 3, 1, 2), full_size=False).final
        if self.turn and NORMALS.name in final:
            final[NORMALS.name] = nn.functional.conv2d(final[NORMALS.name], self.to_optical)
        for task in self.tasks:
            if task.kind == "direction":
                final[task.name] = normalize_vectors(final[task.name])
        return tuple(final[task.name] for task in self.tasks)


def export_cpu_tail(
    net: PDBridgeNet, size: Size | None = None, facts: ModelFacts = ModelFacts()
) -> onnx.ModelProto:
    """The fp32 CPU-tail model of a network at a picture size (H, W), metadata included.

    All its weights are in memory; `save_model` moves them beside the file where that is needed.
    """
    size = size or net.config.image_size
    check_size(net, size)
    metadata = _metadata(net, size, facts)
    graph = CPUTailGraph(net).eval()
    names = [task.name for task in graph.tasks]
    picture = torch.zeros(1, *size, 3, dtype=torch.uint8)
    with _quiet_exporter(), _without_slow_rules():
        program = torch.onnx.export(
            graph,
            (picture,),
            opset_version=OPSET,
            dynamo=True,
            input_names=[IMAGE],
            output_names=names,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _drop_debug_text(model)
    scale_queries_first(model.graph)
    model.metadata_props.add(key=METADATA_KEY, value=json.dumps(metadata | _sizes(model)))
    return model


def check_size(net: PDBridgeNet, size: Size) -> None:
    """MtpanoError unless a panorama of (H, W) fits the network's strides."""
    height, width = size
    stride = net.config.coarsest_stride
    if width != 2 * height or height % stride:
        raise MtpanoError(
            f"picture size {height}x{width} does not fit: expected HEIGHTxWIDTH with width = 2 x "
            f"height and height a multiple of {stride}, such as {16 * stride}x{32 * stride}"
        )


def _metadata(net: PDBridgeNet, size: Size, facts: ModelFacts) -> dict[str, Any]:
    config = net.config
    classes = load_class_set(config.class_set)
    if len(classes) != config.num_classes:
        raise MtpanoError(
            f"the network has {config.num_classes} classes but class set '{config.class_set}' has "
            f"{len(classes)}: export it with the class set that it was trained on"
        )
    return {
        "format": FORMAT,
        "class_set": config.class_set,
        "classes": [
            {"name": name, "color": "#{:02x}{:02x}{:02x}".format(*color), "open": is_open}
            for name, color, is_open in zip(
                classes.names, classes.palette, classes.open, strict=True
            )
        ],
        "frame": "optical",
        "depth": "range_m",
        "input_size": list(size),
        "tail": "cpu",
        "precision": "fp32",
        "preset": config.name,
        "revision": git_revision(),
        "license": facts.license,
        "trained_on": facts.trained_on,
    }


def _sizes(model: onnx.ModelProto) -> dict[str, Any]:
    """Metadata of output sizes: that of the class logits, and those of outputs with another."""
    sizes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim[2:]]
        for value in model.graph.output
    }
    common = sizes.get(SEMSEG.name) or next(iter(sizes.values()))
    others = {name: size for name, size in sizes.items() if size != common}
    return {"output_size": common} | ({"output_sizes": others} if others else {})


def git_revision() -> str:
    """Commit of this source tree, "unknown" outside a git checkout."""
    folder = Path(__file__).parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return answer.stdout.strip() or "unknown"


def _drop_debug_text(model: onnx.ModelProto) -> None:
    """Remove stack traces that the exporter leaves on every node: megabytes of local paths."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]


_TALKATIVE = ("torch.onnx", "onnxscript", "onnx_ir")  # a line a rewritten node


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Errors only: torch's exporter warns of a missing torchvision and of its own deprecations."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _without_slow_rules() -> Iterator[None]:
    """Leave out one of onnxscript's rewrite rules while it optimizes an export.

    The rule looks for two slices that halve a tensor, which none of our networks has, and takes
    a third of the time of an export (two fifths with a transformer; onnxscript 0.7.2). The rules
    have no public switch: where a version keeps them elsewhere, all of them run.
    """
    rules = getattr(rewriter, "_DEFAULT_REWRITE_RULES", None)
    if rules is None:
        yield
        return
    rewriter._DEFAULT_REWRITE_RULES = tuple(
        rule for rule in rules if getattr(rule, "name", "") != "SlicesSplit"
    )
    try:
        yield
    finally:
        rewriter._DEFAULT_REWRITE_RULES = rules
