"""Detects a network that fails or hangs."""

from __future__ import annotations

from mtpano_ros.frames.frame_path import FramePath

# Every image is brought to one size and type first: no image can be to blame for so many.
FAILURES_UNTIL_BROKEN = 20
# How many times the usual duration an image may be in the network.
UNUSUAL = 10.0


def is_broken(path: FramePath) -> bool:
    """Whether the network has failed so often that only a new process can help."""
    return path.failures_in_a_row >= FAILURES_UNTIL_BROKEN


def network_trouble(path: FramePath, usual: float, patience: float) -> str:
    """One line on what is wrong, empty if nothing is.

    usual: milliseconds that an inference usually takes. patience: seconds that are always allowed.
    """
    if is_broken(path):
        return (
            f"the network failed for {path.failures_in_a_row} images in a row: this process ends, "
            "so that launch or systemd can start a new one"
        )
    seconds = path.inference_seconds
    if seconds > max(patience, UNUSUAL * usual / 1e3):
        return (
            f"an image has been in the network for {seconds:.0f} s, {usual:.0f} ms is usual: "
            "its engine hangs, or the machine is overloaded"
        )
    return ""
