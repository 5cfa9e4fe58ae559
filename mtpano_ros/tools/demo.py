"""The whole chain on real panoramas: player, node and snapshot as processes over real DDS.

    python -m mtpano_ros.tools.demo --out demo --frames 20
    python -m mtpano_ros.tools.demo --rig

The three talk in a domain of their own, on this host only. The player waits until the node and the
snapshot are matched, the snapshot until all of the node's publishers are, so nothing is lost at the
start; it ends by itself and leaves no process behind.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from mtpano_model.command_line import parsed
from mtpano_model.engine_names import BACKEND_CHOICES
from mtpano_model.errors import MtpanoError
from mtpano_model.graph.model_info import find_model
from mtpano_model.last_resort import exit_status
from mtpano_model.whole_files import write_json
from mtpano_ros.doctor.transport import check_domain
from mtpano_ros.process.signals import on_end, restore
from mtpano_ros.process.spinning import check_rate
from mtpano_ros.process.transport import large_messages, private_graph
from mtpano_ros.tools.children import Children
from mtpano_ros.tools.demo_rig import Camera, rig_demo
from mtpano_ros.tools.sources import PANORAMAS, open_source
from mtpano_ros.watch.diagnostics import STAGES, UNKNOWN
from mtpano_ros.watch.image_watch import transport_trouble

NAMESPACE = "/mtpano"
ROS_ARGS = ("--ros-args", "-r", f"__ns:={NAMESPACE}")
# The snapshot keeps what it will write in memory until the end, some 33 MB each.
MOST_PANELS = 20


@dataclass
class Args:
    """Show real panoramas turned into depth, normals, semantics and a cloud."""

    out: Path = Path("out/demo")
    """Folder for summary.json, and for panel_*.png and cloud_*.pcd of the first 20 panoramas."""
    frames: int = 20
    """Number of panoramas to send; an input that has fewer starts again."""
    input: Path = PANORAMAS
    """Image, folder, video or rosbag2 to play; default: five bundled panoramas."""
    rate: float = 5.0
    """Panoramas per second."""
    model: str = "default"
    """Model: a bundled name or the path of an .onnx file."""
    backend: str = "auto"
    """Engine: auto, openvino, onnxruntime or tensorrt."""
    timeout: float = 120.0
    """Seconds that the processes may take to find each other and to build an engine."""
    rig: bool = False
    """Also play the panoramas as two raw fisheyes, as pictures and as H.264, and compare."""

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise MtpanoError(f"--frames {self.frames}: expected at least 1")
        check_rate(self.rate, "panoramas")
        if not self.timeout >= 1:
            raise MtpanoError(f"--timeout {self.timeout}: expected seconds, 1 or more")
        if self.backend not in BACKEND_CHOICES:
            choices = " or ".join(BACKEND_CHOICES)
            raise MtpanoError(f"--backend {self.backend}: expected {choices}")


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status: 0, 1 with one sentence, or 128 + a signal's number."""
    return exit_status(lambda: demo(parsed(Args, "demo", argv)))


def demo(args: Args) -> int:
    """Run the chain once and write the summary."""
    find_model(args.model)
    pictures = open_source(args.input).frames()
    panels = sum(1 for _ in islice(pictures, min(args.frames, MOST_PANELS)))
    if args.rig:
        return rig_demo(args, lambda one, camera, options: run_chain(one, panels, camera, options))
    return run_chain(args, panels, ("player", player_options(args)), [])


def run_chain(args: Args, panels: int, camera: Camera, node_options: Sequence[object]) -> int:
    """Camera, node and snapshot once; returns the exit status."""
    args.out.mkdir(parents=True, exist_ok=True)
    report = args.out / "player.json"
    saving = snapshot_options(args, panels)
    name, playing = camera
    environment = {**os.environ, **private_graph(), **large_messages()}
    for finding in check_domain(environment):
        if finding.level == "fix":
            variable = "MTPANO_DOMAIN_ID" if "MTPANO_DOMAIN_ID" in os.environ else "ROS_DOMAIN_ID"
            raise MtpanoError(str(finding).replace("ROS_DOMAIN_ID", variable))
    print(f"demo: domain {environment['ROS_DOMAIN_ID']}, this host only", flush=True)
    with signals() as received, Children(environment) as children:
        children.start("node", "mtpano_ros.start", "node", *ROS_ARGS, *node_parameters(args),
                       *node_options)  # fmt: skip
        children.start("snapshot", "mtpano_ros.start", "snapshot", *saving, *ROS_ARGS)
        children.start(name, "mtpano_ros.start", name, *playing, "--report", report, *ROS_ARGS)
        while children.status("snapshot") is None and not received:
            check(children)
            if children.status("node") is not None:
                raise MtpanoError("the node ended by itself: its messages above say why")
            time.sleep(0.05)
        if received:
            print("demo: interrupted", file=sys.stderr)
            return 128 + received[0]
        children.stop(name, "node")
        check(children)
    summary = write_summary(args.out / "summary.json", report)
    print_summary(summary, args.out)
    return 0


def node_parameters(args: Args) -> list[str]:
    """The node's parameters as ROS arguments."""
    # The demo itself notices that nothing comes, and its end is no silence to warn of.
    return ["-p", f"model:={args.model}", "-p", f"backend:={args.backend}",
            "-p", f"image_timeout:={min(2 * args.timeout, 3600)}"]  # fmt: skip


def snapshot_options(args: Args, panels: int) -> list[object]:
    """Wait for everything, end when all has come, or nothing comes any more."""
    idle = max(5.0, 3 / args.rate)
    return ["--out", args.out, "--frames", args.frames, "--save", panels, "--model", args.model,
            "--timeout", args.timeout, "--idle", idle]  # fmt: skip


def player_options(args: Args) -> list[object]:
    """Play to the node and the snapshot."""
    return [args.input, "--frames", args.frames, "--rate", args.rate,
            "--wait-for-subscribers", 2, "--timeout", 2 * args.timeout]  # fmt: skip


@contextmanager
def signals() -> Iterator[list[int]]:
    """The signals to end that came, instead of what they usually do."""
    received: list[int] = []
    previous = on_end(lambda number, _frame: received.append(number))
    try:
        yield received
    finally:
        restore(previous)


def check(children: Children) -> None:
    """MtpanoError if a process has failed."""
    if failure := children.failure():
        raise MtpanoError(f"the {failure}: its messages above say why")


def write_summary(path: Path, report: Path) -> dict[str, Any]:
    """Put what the player sent and the node says beside what the snapshot received.

    Latency is in milliseconds; `end_to_end` ends when the snapshot holds the last output, the other
    stages are the node's own (see mtpano_ros.watch.diagnostics).
    """
    sent = json.loads(report.read_text(encoding="utf-8"))
    seen = json.loads(path.read_text(encoding="utf-8"))
    node = {name.rpartition(": ")[2]: values for name, values in seen["diagnostics"].items()}
    frames, engine = node.get("frames", {}), node.get("engine", {})
    summary = {
        "sent": sent["sent"],
        "processed": int(frames.get("processed", 0)),
        "dropped": int(frames.get("dropped", 0)),
        "skipped": int(frames.get("skipped", 0)),
        "received": seen["received"],
        "complete": seen["complete"],
        "latency_ms": stages(node.get("latency", {})) | seen["latency_ms"],
        "sent_late": sent["late"],
        "backend": engine.get("backend", ""),
        "device": engine.get("device", ""),
        "model": engine.get("model", ""),
        "input_size": engine.get("input_size", ""),
        "output_size": frames.get("output_size", ""),
    }
    write_json(path, summary)
    report.unlink()
    return summary


def stages(latency: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """{stage: {median, p95}} of the node's latency status, of the stages that it knows."""
    return {
        stage: {
            "median": float(latency[f"{stage}_median_ms"]),
            "p95": float(latency[f"{stage}_p95_ms"]),
        }
        for stage in STAGES
        if latency.get(f"{stage}_median_ms", UNKNOWN) != UNKNOWN
    }


def print_summary(summary: Mapping[str, Any], out: Path) -> None:
    """Print a few lines for the user."""
    lost = summary["sent"] - summary["processed"] - summary["dropped"] - summary["skipped"]
    print(
        f"demo: {summary['sent']} panoramas sent, {summary['processed']} processed, "
        f"{summary['dropped']} dropped for newer ones, {lost} lost on the way"
        f"{transport_trouble() if lost else ''}"
    )
    print(f"      complete sets of outputs received: {summary['complete']}")
    for stage, times in summary["latency_ms"].items():
        if times is None:
            continue
        print(f"      {stage:<12} {times['median']:8.1f} ms median {times['p95']:8.1f} ms p95")
    print(f"      look at {out.resolve()}: panel_*.png, cloud_*.pcd, summary.json")


if __name__ == "__main__":
    sys.exit(main())
