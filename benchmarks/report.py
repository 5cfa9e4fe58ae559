"""The results for people: a page of Markdown tables and a plot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mtpano_model import markdown
from mtpano_model.evaluation.charts import bar_chart

# key -> (what it says, the goal)
RATIOS = {
    "throughput_vs_naive": ("images per second, ours / naive", ">= 4"),
    "latency_vs_naive": ("camera to last output, ours / naive", "<= 0.33"),
    "cpu_vs_naive": ("CPU time per image, ours / naive", "<= 0.33"),
    "path_over_memcpy": ("CPU time of the frame path / one copy of all published bytes", "<= 8"),
    "pack_over_memcpy": ("packing the cloud / one copy of it", "<= 2"),
    "latency_over_parts": (
        "latency at half the sustainable rate / (engine alone + path and transport alone)",
        "<= 1.3",
    ),
}

TERMS = """\
All sizes are HEIGHTxWIDTH.

- **ours**: `pano_node` as shipped. **naive**: `benchmarks/naive_node.py`, a node as people write
  it by hand, with everything in one callback and the defaults of all libraries.
- **images/s**: complete sets of outputs per second while the camera sends more images than the
  node can process. This is the rate that the node sustains.
- **Latency**: from the camera's stamp to the last output at a subscriber, for the median image.
  **CPU time**: of all threads of the node's process. Both are measured at half of the rate that
  the node sustains at 512x1024.
- **Engine alone**: the network without a node. **Frame path**: our node with
  `benchmarks/stub_node.py`, whose engine answers at once, and with `depth_finish` off (its cost is
  a step of its own below), so that only path and transport are measured. **One copy**: numpy
  copies as many bytes as are published.
- **Rounds**: other programs disturb a shared machine, so the nodes take turns, in several rounds.
  Each ratio to the naive node is computed within a round; the median of the rounds is shown. The
  table of cameras shows the median of each node by itself, so the quotient of two of its lines
  differs from the ratio by as much as rounds differ."""


def write_report(folder: Path, results: Mapping[str, Any]) -> None:
    """Write README.md and throughput.svg into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(page(results), encoding="utf-8")
    throughput_chart(results["table"]).savefig(folder / "throughput.svg")


def page(results: Mapping[str, Any]) -> str:
    """The page; every number on it comes from `results`."""
    model, machine, details = results["model"], results["machine"], results["details"]
    shipped, default = (results["camera_losses"][name] for name in ("shipped", "default"))
    sections = [
        "# Benchmarks",
        f"Written by `./run bench` in {results['seconds']:.0f} s on {machine['cores']} cores of "
        f"{machine['cpu']} ({machine['memory_gib']} GiB, load {machine['load_before']:.1f} before "
        f"the start). Network: {model['name']} ({model['preset']}, {model['input_size']}, "
        f"{model['precision']}) on {model['backend']}; the naive node runs the same "
        "weights in PyTorch eager, float32.",
        TERMS,
        "![images a second](throughput.svg)",
        "## Ratios",
        "Camera of 512x1024, with the cloud, one subscriber.",
        table(
            ("ratio", "value", "goal"),
            ((what, results[key], goal) for key, (what, goal) in RATIOS.items()),
        ),
        f"Engine alone {details['engine_ms']} ms, one copy of the published bytes "
        f"{details['memory_copy_ms']} ms, frame path {details['stub_cpu_ms']} ms of CPU time.",
        "## Every camera, cloud on and off, one and three subscribers",
        "The first two lines are medians over the rounds; the others were measured once. Rates are "
        "not measured with three subscribers.",
        table(
            (
                "camera",
                "cloud",
                "subscribers",
                "node",
                "images/s",
                "latency ms",
                "CPU ms per image",
            ),
            (
                (
                    row["camera"],
                    "on" if row["cloud"] else "off",
                    row["subscribers"],
                    row["node"],
                    row["per_second"] or "",
                    row["latency_ms"],
                    row["cpu_ms"],
                )
                for row in results["table"]
            ),
        ),
        "## Losses, memory, start",
        table(
            ("test", "result"),
            (
                (
                    "1024x2048 at 10 Hz from camera to node, shipped transport",
                    f"{shipped['lost']} of {shipped['sent']} lost",
                ),
                (
                    "the same over the default transport",
                    f"{default['lost']} of {default['sent']} lost",
                ),
                (
                    f"resident memory, image 500 to {results['growth']['frames']}",
                    f"{results['rss_growth']:+.2%}",
                ),
                (
                    "from starting the process to the first outputs at a subscriber",
                    f"{results['startup']['first_frame_s']} s, of which the engine's own load "
                    f"{results['startup']['engine_load_s']} s",
                ),
            ),
        ),
        "## Where each millisecond goes",
        "One image of 512x1024, each step by itself: the CPU time of one thread, and for the "
        "network the time by the clock.",
        table(("step", "ms"), results["profile_ms"].items()),
        "## What to expect on GPUs: computed, not measured",
        f"A roofline over the {results['roofline']['gflop']} GFLOP and "
        f"{results['roofline']['megabytes_fp16']} MB (fp16) that the nodes of the exported graph "
        "compute and move (benchmarks/roofline.py). [gpu.md](gpu.md) has other networks and sizes, "
        "with the graphs rewritten for TensorRT, which move less.",
        table(("device", "ms, computed"), results["roofline"]["milliseconds"].items()),
        "## Machine",
        table(("fact", "value"), machine.items()),
    ]
    return "\n\n".join(sections) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table in one text."""
    return "\n".join(markdown.table(head, rows))


def throughput_chart(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Images a second by configuration, ours above naive."""
    by_place: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["per_second"] is not None:
            place = f"{row['camera']}, cloud {'on' if row['cloud'] else 'off'}"
            by_place.setdefault(place, {})[row["node"]] = row["per_second"]
    return bar_chart("Images a second", by_place, {"ours": "#1769aa", "naive": "#b0b7bf"})
