"""What each preset costs: parameters, arithmetic, memory, and time against its backbone alone.

    python -m benchmarks.presets nano small --out docs/benchmarks/presets.json

Ratios come from one run with both graphs interleaved, medians of many; absolute times depend on
the machine. Weights are random: no engine's speed depends on them. The large presets take a minute
a picture on a CPU: --repeats 2 --processor-time measures them beside other work.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timing import Clock, interleaved, write_figures
from mtpano_model.export.onnx_graph import OPSET, export_cpu_tail
from mtpano_model.graph.save import save_model
from mtpano_model.network import PDBridgeNet, preset
from mtpano_model.network.config import PRESETS

_MEMORY_PROBE = """
import re, sys
import numpy as np
from mtpano_model.inference import load_estimator
def peak():
    status = open("/proc/self/status").read()
    return int(re.search("VmHWM:\\s+(\\d+)", status)[1]) / 1024
before = peak()
estimator = load_estimator(sys.argv[1], backend=sys.argv[2], device="cpu")
estimator.infer(np.zeros((1, *estimator.info.input_size, 3), np.uint8))
print(peak() - before)
"""


@dataclass
class Args:
    """Which presets, how long, by which clock, and where to."""

    presets: tyro.conf.Positional[tuple[str, ...]] = tuple(PRESETS)
    """Names of presets; the default is all."""
    seconds: float = 20
    """Time to spend on each engine."""
    repeats: int = 5
    """Runs of each engine at the least."""
    processor_time: bool = False
    """Measure all threads together, which other work on the machine disturbs less."""
    count_only: bool = False
    """No export, no timing."""
    out: Path | None = None
    """JSON file to write; entries of other presets are kept."""


class _BackboneAlone(nn.Module):
    """uint8 picture -> the backbone's taps, as the whole graph takes it."""

    def __init__(self, net: PDBridgeNet):
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        taps = self.net.backbone(self.net.normalize(image.float().permute(0, 3, 1, 2)))
        return tuple(taps.features)


def count(name: str) -> dict[str, float]:
    """Parameters in millions and 10^9 multiply-adds, whole and of the backbone; nothing is run."""
    with torch.device("meta"):
        net = PDBridgeNet(preset(name)).eval().to("meta")
        picture = torch.zeros(1, 3, *net.config.image_size)
    counted = {}
    for part, call in (("", net), ("backbone_", net.backbone)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            call(picture)
        counted[f"{part}gmac"] = counter.get_total_flops() / 2e9
    return {"parameters_m": sum(p.numel() for p in net.parameters()) / 1e6, **counted}


def measure(name: str, seconds: float, repeats: int, clock: Clock) -> dict[str, Any]:
    """Time ratios to the backbone alone, and resident memory, for each CPU engine.

    seconds: to spend on each engine, at least `repeats` runs. clock: what is measured, in seconds.
    """
    net = PDBridgeNet(preset(name)).eval()
    picture = np.zeros((1, *net.config.image_size, 3), np.uint8)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        whole, backbone = Path(folder) / "whole.onnx", Path(folder) / "backbone.onnx"
        started = time.monotonic()
        save_model(export_cpu_tail(net), whole)
        results["export_seconds"] = time.monotonic() - started
        results["file_mb"] = sum(f.stat().st_size for f in Path(folder).glob("*")) / 1e6
        program = torch.onnx.export(
            _BackboneAlone(net), (torch.from_numpy(picture),), opset_version=OPSET, dynamo=True
        )
        assert program is not None
        program.save(backbone, external_data=name in ("large", "released"))
        for engine, load in (("openvino", _openvino), ("onnxruntime", _onnxruntime)):
            calls = {path.stem: partial(load(path), picture) for path in (backbone, whole)}
            times = interleaved(calls, seconds, repeats, clock)
            results[f"{engine}_ratio"] = times["whole"] / times["backbone"]
            results[f"{engine}_ms"] = times["whole"] * 1e3
            probe = [sys.executable, "-c", _MEMORY_PROBE, str(whole), engine]
            results[f"{engine}_mb"] = float(subprocess.check_output(probe, text=True))
    return results


def _openvino(path: Path) -> Callable[[np.ndarray], object]:
    from mtpano_model.inference.engines.openvino import openvino_core

    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    return openvino_core().compile_model(str(path), "CPU", options)


def _onnxruntime(path: Path) -> Callable[[np.ndarray], object]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda picture: session.run(None, {name: picture})


def main(args: Args) -> None:
    """Count, measure and write, preset by preset."""
    table = json.loads(args.out.read_text()) if args.out and args.out.is_file() else {}
    for name in args.presets:
        table[name] = table.get(name, {}) | count(name)
        if not args.count_only:
            clock = time.process_time if args.processor_time else time.perf_counter
            table[name] |= measure(name, args.seconds, args.repeats, clock)
        print(name, {k: round(v, 3) for k, v in table[name].items()}, flush=True)
        write_figures(args.out, table)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
