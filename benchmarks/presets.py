"""What each preset costs: parameters, arithmetic, memory, and time against its backbone alone.

    python -m benchmarks.presets nano small --out docs/benchmarks/presets.json

Ratios come from one run with both graphs interleaved, medians of many; absolute times depend on
the machine. Weights are random: no engine's speed depends on them. The large presets take a minute
a picture on a CPU: --repeats 2 --processor-time measures them beside other work.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

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


Clock = Callable[[], float]


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
            calls = [load(backbone), load(whole)]
            times = _interleaved(calls, picture, seconds, repeats, clock)
            results[f"{engine}_ratio"] = times[1] / times[0]
            results[f"{engine}_ms"] = times[1] * 1e3
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


def _interleaved(
    calls: list[Callable[[np.ndarray], object]],
    picture: np.ndarray,
    seconds: float,
    repeats: int,
    clock: Clock,
) -> list[float]:
    """Median time of each call, taken in turns for about `seconds`, at least `repeats` times."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call(picture)
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(times[0]) < repeats:
        for call, taken in zip(calls, times, strict=True):
            started = clock()
            call(picture)
            taken.append(clock() - started)
    return [statistics.median(taken) for taken in times]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("presets", nargs="*", default=list(PRESETS))
    parser.add_argument("--seconds", type=float, default=20, help="time to spend on each engine")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each engine at the least")
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="of all threads together, which other work on the machine disturbs less",
    )
    parser.add_argument("--count-only", action="store_true", help="no export, no timing")
    parser.add_argument("--out", type=Path, help="JSON to write; entries of other presets are kept")
    args = parser.parse_args()
    table = json.loads(args.out.read_text()) if args.out and args.out.is_file() else {}
    for name in args.presets:
        table[name] = table.get(name, {}) | count(name)
        if not args.count_only:
            clock = time.process_time if args.processor_time else time.perf_counter
            table[name] |= measure(name, args.seconds, args.repeats, clock)
        print(name, {k: round(v, 3) for k, v in table[name].items()}, flush=True)
        if args.out:
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
