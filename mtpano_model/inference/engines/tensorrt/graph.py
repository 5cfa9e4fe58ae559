"""The graph that TensorRT is given: weights unfolded, GPU tail joined, precision decided."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from mtpano_model.errors import MtpanoError
from mtpano_model.graph.attention import is_vision_transformer, scale_queries_first
from mtpano_model.graph.gpu_tail import join_gpu_tail
from mtpano_model.graph.half_precision import compute_in_half
from mtpano_model.graph.model_info import ModelInfo
from mtpano_model.graph.stored_weights import fold_stored_weights
from mtpano_model.graph.wrap_padding import pad_by_wrapping
from mtpano_model.pictures.size import Size

# Raise it when anything below changes what is computed: cached engines are then built again.
RECIPE = 3
PRECISIONS = ("fp32", "fp16")
_LARGEST_FILE = 1 << 30  # a protobuf ends at 2 GiB; larger weights go beside the graph


@dataclass(frozen=True)
class PreparedGraph:
    """vision_transformer: whether its attention is deep."""

    vision_transformer: bool


def resolve_precision(info: ModelInfo, wanted: str | None) -> str:
    """The precision to build in: fp16 unless fp32 is asked for."""
    if info.precision == "int8":
        raise MtpanoError(
            f"model file {info.path} is quantized to int8, which gains nothing on TensorRT: "
            "export it again with `mtpano export`, and TensorRT computes in fp16"
        )
    if wanted is None:
        return "fp16"
    if wanted not in PRECISIONS:
        raise MtpanoError(
            f"backend 'tensorrt' has no precision '{wanted}': expected {', '.join(PRECISIONS)}"
        )
    if wanted == "fp32" and info.precision == "fp16":
        raise MtpanoError(
            f"model file {info.path} is fp16, it cannot run as {wanted}: export it with "
            f"`mtpano export --precision {wanted}`"
        )
    return wanted


def external_files(path: Path) -> list[Path]:
    """Files beside an ONNX file that hold its large tensors."""
    model = onnx.load(str(path), load_external_data=False)
    locations = {
        entry.value
        for tensor in model.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return [path.parent / location for location in sorted(locations)]


def prepared_size(info: ModelInfo) -> int:
    """Bytes that `prepare_graph` writes at most: weights may be stored as fp16."""
    files = (info.path, *external_files(info.path))
    return 2 * sum(file.stat().st_size for file in files) + (1 << 20)


def prepare_graph(
    info: ModelInfo,
    precision: str,
    path: Path,
    *,
    size: Size | None = None,
    weakly_typed: bool = False,
) -> PreparedGraph:
    """Write the graph to build from to `path`, an .onnx file; OSError where that fails.

    size: (H, W) of its outputs, the picture's if None. A weakly typed graph stays fp32 whatever the
    precision: the builder chooses.
    """
    model = onnx.load(str(info.path))
    fold_stored_weights(model.graph)
    scale_queries_first(model.graph)
    join_gpu_tail(model, size)
    if precision == "fp16" and not weakly_typed:
        compute_in_half(model)
    pad_by_wrapping(model)
    weights = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    onnx.save(
        model,
        str(path),
        save_as_external_data=weights > _LARGEST_FILE,
        location=f"{path.name}.data",
    )
    return PreparedGraph(is_vision_transformer(model.graph))
