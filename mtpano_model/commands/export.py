"""`mtpano export`: turn a checkpoint into the ONNX file that robots run."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from mtpano_model.addresses import refuse_address
from mtpano_model.errors import MtpanoError, writing
from mtpano_model.pictures.size import parse_size, size_text
from mtpano_model.whole_files import try_folder


@dataclass
class Args:
    """Write a checkpoint as ONNX: uint8 picture in; depth, normals and semantics out."""

    checkpoint: Annotated[str, tyro.conf.Positional]
    """A run's folder, a .safetensors checkpoint (its .json beside it), or "default"."""
    out: Path | None = None
    """The ONNX file to write; by default in the run's folder, beside a .safetensors file, or, for
    "default", in the working directory, named after weights, size, tail and precision."""
    tail: Literal["cpu", "gpu"] = "cpu"
    """cpu: the host enlarges the decoder's outputs to full size; gpu: the graph does."""
    size: str | None = None
    """Picture size HEIGHTxWIDTH; by default the checkpoint's own, such as 256x512."""
    precision: Literal["fp32", "fp16"] = "fp32"
    """Arithmetic. fp16 keeps norms, softmax and the last layers in fp32."""
    half_weights: bool = False
    """Store fp32 weights as fp16 (half the file size); engines widen them when they load."""
    license: str | None = None
    """Licence of the weights, for the model's metadata; by default what the checkpoint says."""
    trained_on: str | None = None
    """What the weights were trained on, for the metadata; by default what the checkpoint says."""


def run(args: Args) -> int:
    """Export, and print what was written."""
    import onnx

    from mtpano_model.export.onnx_graph import ModelFacts, check_size, export_cpu_tail
    from mtpano_model.graph.gpu_tail import join_gpu_tail
    from mtpano_model.graph.half_precision import compute_in_half
    from mtpano_model.graph.save import save_model, store_weights_in_half, update_metadata
    from mtpano_model.network.pretrained import UNKNOWN_ORIGIN, from_pretrained, read_facts
    from mtpano_model.training.checkpoint import best_weights, lasting_folder

    refuse_address(args.checkpoint)
    checkpoint = best_weights(Path(args.checkpoint))
    net = from_pretrained(checkpoint)
    size = parse_size(args.size) if args.size else net.config.image_size
    check_size(net, size)
    log = logging.getLogger(__name__)
    if size != net.config.image_size:
        log.warning(
            "exported at %dx%d, but trained at %dx%d: depth and classes get worse, so measure "
            "them with mtpano evaluate first",
            *size,
            *net.config.image_size,
        )
    name = f"{checkpoint.stem}_{size_text(size)}_{args.tail}_{args.precision}.onnx"
    out = args.out or lasting_folder(checkpoint) / name
    if out.is_dir():
        raise MtpanoError(f"--out {out} is a folder: give the name of an ONNX file in it")
    with writing(out):  # which is found out before the minute that an export takes
        try_folder(out.parent)
    said = {**UNKNOWN_ORIGIN, **read_facts(checkpoint)["extra"]}
    facts = ModelFacts(args.license or said["license"], args.trained_on or said["trained_on"])

    model: onnx.ModelProto = export_cpu_tail(net, size, facts)
    if args.tail == "gpu":
        join_gpu_tail(model)
    if args.precision == "fp16":
        compute_in_half(model)
        update_metadata(model, precision="fp16")
    if args.half_weights:
        store_weights_in_half(model)

    save_model(model, out)
    print(f"{out}: {size_text(size)} (HEIGHTxWIDTH), {args.tail} tail, {args.precision}")
    return 0
