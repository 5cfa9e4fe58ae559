"""`mtpano parity DIR`: compare our network, losses or metrics with the authors' numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from mtpano_model.errors import MtpanoError


@dataclass
class Args:
    """Compare our code with numbers that the authors' code computed, and print every difference.

    A folder with weights.safetensors and io.safetensors tests the network, whose outputs must
    agree to 2e-5. A folder with tensors.safetensors and values.json tests losses, metrics and
    auxiliary targets, which must agree to a relative 1e-4. The exit status is 1 if a difference is
    larger. Both folders are shipped with the tests: see test/reference/README.md.
    """

    folder: Positional[Path]
    """The reference folder."""


def run(args: Args) -> int:
    """Print the largest difference by name; 0 if all are small enough, else 1."""
    folder = args.folder
    if not folder.is_dir():
        raise MtpanoError(f"{folder} is not a folder: give a reference folder")
    from mtpano_model.evaluation import losses_parity
    from mtpano_model.network import parity as network_parity

    if network_parity.is_network_fixture(folder):
        differences = network_parity.compare(folder)
        good = all(value <= network_parity.TOLERANCE for value in differences.values())
        return _report("largest difference", differences, good, network_parity.TOLERANCE)
    if losses_parity.is_losses_fixture(folder):
        differences = losses_parity.compare(folder)
        good = losses_parity.passes(differences)
        status = _report("largest relative difference", differences, good, losses_parity.TOLERANCE)
        print(losses_parity.EDF_NOTE)
        return status
    raise MtpanoError(
        f"{folder} is no reference folder: expected config.json, weights.safetensors and "
        "io.safetensors (a network), or tensors.safetensors and values.json (losses and metrics)"
    )


def _report(title: str, differences: dict[str, float], good: bool, limit: float) -> int:
    width = max(map(len, differences))
    print(f"{'value':<{width}}  {title}")
    for name, value in differences.items():
        print(f"{name:<{width}}  {value:.2e}")
    print(f"{'agrees' if good else 'DIFFERS'}: limit {limit:g}")
    return 0 if good else 1
