"""The graph that TensorRT is given: weights unfolded, GPU tail joined, precision decided."""

from __future__ import annotations

from pathlib import Path

import onnx

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.gpu_tail import join_gpu_tail
from mtpano_model.inference.half_precision import compute_in_half
from mtpano_model.inference.model_info import ModelInfo
from mtpano_model.inference.stored_weights import fold_stored_weights

# Raise it when anything below changes what is computed: cached engines are then built again.
RECIPE = 1
PRECISIONS = ("fp32", "fp16", "int8")
_LARGEST_FILE = 1 << 30  # a protobuf ends at 2 GiB; larger weights go beside the graph


def resolve_precision(info: ModelInfo, wanted: str | None) -> str:
    """The precision to build in: fp16 unless the model is quantized or fp32 is asked for."""
    stored = info.precision if info.precision in PRECISIONS else "fp32"
    if wanted is None:
        return "int8" if stored == "int8" else "fp16"
    if wanted not in PRECISIONS:
        raise MtpanoError(
            f"backend 'tensorrt' has no precision '{wanted}': expected {', '.join(PRECISIONS)}"
        )
    if (wanted == "int8") != (stored == "int8") or (wanted == "fp32" and stored == "fp16"):
        raise MtpanoError(
            f"model file {info.path} is {stored}, it cannot run as {wanted}: export it with "
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


def prepare_graph(info: ModelInfo, precision: str, strongly_typed: bool, folder: Path) -> Path:
    """Write the graph to build from into `folder` and return its path.

    Where the network is weakly typed (TensorRT below 10.12) the graph stays fp32 and the builder
    is allowed fp16 instead. Quantized graphs keep their types.
    """
    model = onnx.load(str(info.path))
    fold_stored_weights(model.graph)
    join_gpu_tail(model)
    if precision == "fp16" and strongly_typed:
        compute_in_half(model)
    path = folder / f"{info.path.stem}.onnx"
    weights = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    onnx.save(
        model,
        str(path),
        save_as_external_data=weights > _LARGEST_FILE,
        location=f"{path.name}.data",
    )
    return path
