"""`mtpano export`: a checkpoint becomes the ONNX file that robots run."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from mtpano_model.errors import MtpanoError
from mtpano_model.picture_size import parse_size


@dataclass
class Args:
    """Write a checkpoint as ONNX: uint8 picture in; depth, normals and semantics out."""

    checkpoint: Annotated[str, tyro.conf.Positional]
    """A run's folder, a .safetensors checkpoint (its .json beside it), or "default"."""
    out: Path | None = None
    """The ONNX file to write; by default in the run's folder, beside a .safetensors file, or, for
    "default", in the working directory, named after weights, size, tail and precision."""
    tail: Literal["cpu", "gpu"] = "cpu"
    """cpu: outputs at the decoder's resolution, the host finishes; gpu: finished in the graph."""
    size: str | None = None
    """Picture size HEIGHTxWIDTH; by default the checkpoint's own, such as 256x512."""
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    """Of the arithmetic. fp16 keeps norms, softmax and the last layers in fp32; int8 is Q/DQ."""
    half_weights: bool = False
    """Store fp32 weights as fp16 (half the file), to be widened when the engine loads them."""
    calibration: Path | None = None
    """int8: folder of panoramas to calibrate on."""
    calibration_frames: int = 48
    """int8: how many of them to take, evenly spread over the folder."""
    license: str | None = None
    """Licence of the weights, for the model's metadata; by default what the checkpoint says."""
    trained_on: str | None = None
    """What the weights learnt from, likewise."""


def run(args: Args) -> int:
    """Export and say what was written."""
    import onnx

    from mtpano_model.export.onnx_graph import ModelFacts, check_size, export_cpu_tail
    from mtpano_model.export.operator_check import unsupported_operators
    from mtpano_model.export.save import save_model, store_weights_in_half, update_metadata
    from mtpano_model.inference.gpu_tail import join_gpu_tail
    from mtpano_model.inference.half_precision import compute_in_half
    from mtpano_model.network.pretrained import UNKNOWN_ORIGIN, from_pretrained, read_facts
    from mtpano_model.training.checkpoint import best_weights, lasting_folder

    checkpoint = best_weights(Path(args.checkpoint))
    net = from_pretrained(checkpoint)
    size = parse_size(args.size) if args.size else net.config.image_size
    check_size(net, size)
    pictures = _calibration_pictures(args, size) if args.precision == "int8" else []
    said = {**UNKNOWN_ORIGIN, **read_facts(checkpoint)["extra"]}
    facts = ModelFacts(args.license or said["license"], args.trained_on or said["trained_on"])

    model: onnx.ModelProto = export_cpu_tail(net, size, facts)
    if args.precision == "int8":
        from mtpano_model.export.int8 import quantize

        model = quantize(model, pictures)
    if args.tail == "gpu":
        join_gpu_tail(model)
    if args.precision == "fp16":
        compute_in_half(model)
        update_metadata(model, precision="fp16")
    if args.half_weights:
        store_weights_in_half(model)

    name = f"{checkpoint.stem}_{size[0]}x{size[1]}_{args.tail}_{args.precision}.onnx"
    out = args.out or lasting_folder(checkpoint) / name
    save_model(model, out)
    for problem in unsupported_operators(out):
        logging.getLogger(__name__).warning("TensorRT will not take this model: %s", problem)
    print(f"{out}: {size[1]}x{size[0]} pixels, {args.tail} tail, {args.precision}")
    return 0


def _calibration_pictures(args: Args, size: tuple[int, int]) -> list[Any]:
    """Panoramas of the calibration folder at the model's size, uint8 RGB [H, W, 3]."""
    import cv2
    import numpy as np

    from mtpano_model.inference.preprocess import preprocess

    if args.calibration is None:
        raise MtpanoError("int8 needs --calibration FOLDER: panoramas like those it will see")
    files = sorted(
        path
        for path in args.calibration.glob("*")
        if path.suffix.lower() in (".jpg", ".jpeg", ".png")
        and not path.stem.endswith(("_depth", "_normal", "_semantic"))
    )
    if not files:
        raise MtpanoError(f"{args.calibration} holds no .jpg or .png panoramas to calibrate on")
    spread = np.linspace(0, len(files) - 1, min(args.calibration_frames, len(files)))
    pictures = []
    for index in spread.astype(int):
        bgr = cv2.imread(str(files[index]), cv2.IMREAD_COLOR)
        if bgr is None:
            raise MtpanoError(f"{files[index]} is not a picture that OpenCV can read")
        rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
        pictures.append(preprocess(rgb, size)[0])
    return pictures
