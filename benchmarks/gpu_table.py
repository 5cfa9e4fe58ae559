"""What to expect on GPUs of networks and sizes that the bench does not run: computed, not measured.

    python -m benchmarks.gpu_table --out docs/benchmarks/gpu.md

Exports each preset with random weights (no engine's speed depends on them), prepares it as for
TensorRT, and adds up its nodes (`benchmarks.roofline`). `released` needs 8 GB of memory.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.report import table
from benchmarks.roofline import BYTES_A_VALUE, DEVICES, Cost, graph_costs, milliseconds
from mtpano_model.export.onnx_graph import export_cpu_tail
from mtpano_model.graph.gpu_tail import join_gpu_tail
from mtpano_model.graph.wrap_padding import pad_by_wrapping
from mtpano_model.network import PDBridgeNet, preset
from mtpano_model.pictures.size import Size

NETWORKS: tuple[tuple[str, Size], ...] = (
    ("small", (256, 512)),
    ("small", (512, 1024)),
    ("released", (256, 512)),
    ("released", (512, 1024)),
)
# A tensor above this many bytes is a weight; below, it may be a shape that inference looks at.
_LARGEST_SHAPE = 4096


def prepared_costs(name: str, size: Size) -> list[Cost]:
    """Of the preset's nodes at a picture size (H, W), with the GPU tail and TensorRT's rewrites."""
    model = export_cpu_tail(PDBridgeNet(preset(name)).eval(), size)
    for weight in model.graph.initializer:
        if len(weight.raw_data) > _LARGEST_SHAPE:  # protobuf passes on 2 GB at most
            weight.ClearField("raw_data")
    join_gpu_tail(model)
    pad_by_wrapping(model)
    return graph_costs(model)


def row(name: str, size: Size) -> list[object]:
    """A line of the table."""
    costs = prepared_costs(name, size)
    return [
        name,
        "{}x{}".format(*size),
        round(sum(cost.flops for cost in costs) / 1e9, 1),
        round(sum(cost.values for cost in costs) * BYTES_A_VALUE / 1e6),
        *(f"{milliseconds(costs, device):.3g}" for device in DEVICES),
    ]


_HEAD = """# What to expect on GPUs

These milliseconds are computed, not measured. Every node is assumed to take as long as its
arithmetic at the data sheet's dense fp16 peak (sums in fp32), or as moving its inputs and outputs
once, whichever is longer. Engines fuse nodes and therefore move less, but they reach only a part
of the peaks, so the figures are an order of magnitude. The graphs are rewritten for TensorRT and
have the GPU tail. Sizes are HEIGHTxWIDTH.
`python -m benchmarks.gpu_table --out docs/benchmarks/gpu.md` writes this page.

"""


def page(rows: list[list[object]]) -> str:
    """The whole page as Markdown."""
    head = ("network", "size", "GFLOP", "MB moved (fp16)", *(d.name for d in DEVICES))
    return _HEAD + table(head, rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")
    out: Path = parser.parse_args().out
    out.write_text(page([row(name, size) for name, size in NETWORKS]), encoding="utf-8")


if __name__ == "__main__":
    main()
