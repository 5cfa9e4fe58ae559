"""int8 as symmetric Q/DQ, calibrated on given panoramas.

The form that TensorRT, OpenVINO and ONNX Runtime all read: QuantizeLinear and DequantizeLinear
pairs with zero points of 0, weights per channel. The backbone is rounded, but for its first
convolution and the depthwise ones (little arithmetic, channels of very different range). What
decides metres and angles stays in float: streams, bridge and decoders; rounding them as well cost
seven per cent of AbsRel.

Weights use 7 of their 8 bits: x86 processors without VNNI add products in pairs of 16 bits, which
8-bit weights overflow. Nothing is said when that happens; the depth error grew by a third.
"""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from mtpano_model.errors import MtpanoError
from mtpano_model.export.save import update_metadata

_BACKBONE = "net.backbone."  # how names of its weights begin in an exported graph

Picture = NDArray[np.uint8]


class _Pictures(CalibrationDataReader):
    def __init__(self, pictures: Iterable[Picture]):
        self._pictures: Iterator[Picture] = iter(pictures)

    def get_next(self) -> dict[str, Picture] | None:
        picture = next(self._pictures, None)
        return None if picture is None else {"image": picture[None]}


def quantize(model: onnx.ModelProto, pictures: list[Picture]) -> onnx.ModelProto:
    """The int8 twin of a float32 CPU-tail model.

    pictures: uint8 RGB [H, W, 3] at the model's input size, as a robot would see them; a few dozen
    varied ones do.
    """
    if not pictures:
        raise MtpanoError(
            "int8 needs panoramas to calibrate on: give --calibration FOLDER with 8 or more"
        )
    with tempfile.TemporaryDirectory() as folder:
        source, prepared, target = (
            Path(folder) / n for n in ("float.onnx", "prepared.onnx", "int8.onnx")
        )
        onnx.save_model(model, source)
        with _quiet():
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            rounded = _rounded_convolutions(onnx.load(prepared))
            if not rounded:
                raise MtpanoError(
                    "int8 rounds the convolutions of a convolutional backbone, and this network "
                    "has none: export it with --precision fp16"
                )
            quantize_static(
                prepared,
                target,
                _Pictures(pictures),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                nodes_to_quantize=rounded,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.Percentile,
                extra_options={
                    "ActivationSymmetric": True,
                    "WeightSymmetric": True,
                    "QuantizeBias": False,
                    "CalibPercentile": 99.999,
                },
            )
        result = onnx.load(target)
    del result.metadata_props[:]
    result.metadata_props.extend(model.metadata_props)
    update_metadata(result, precision="int8")
    return result


@contextmanager
def _quiet() -> Iterator[None]:
    """ONNX Runtime's quantizer prints its progress and logs advice by the root logger."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)


def _rounded_convolutions(model: onnx.ModelProto) -> list[str]:
    """Names of the backbone's convolutions, but for the first and the depthwise ones."""
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    return [
        node.name
        for node in convolutions[1:]
        if node.input[1].startswith(_BACKBONE) and _groups(node) == 1
    ]


def _groups(convolution: onnx.NodeProto) -> int:
    return next((a.i for a in convolution.attribute if a.name == "group"), 1)
