"""Measure our node against a naive one, the engine alone and a memory copy, in one run.

./run bench [--out FILE] [--soak]
"""

from __future__ import annotations

import sys

import tyro

from benchmarks.bench import Args, bench
from mtpano_ros.process.spinning import run_command


def main() -> int:
    """Entry point; returns the exit status."""
    return run_command(lambda: bench(tyro.cli(Args, prog="bench")))


if __name__ == "__main__":
    sys.exit(main())
