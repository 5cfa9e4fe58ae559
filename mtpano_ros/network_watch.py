"""Notice that images do not get through the network."""

from __future__ import annotations

from mtpano_ros.frame_path import FramePath

# Every image is brought to one size and type first: no image can be to blame for so many.
FAILURES_UNTIL_BROKEN = 20
# An image may be in the network for so many times what is usual.
UNUSUAL = 10.0


def is_broken(path: FramePath) -> bool:
    """Whether the network has failed so often that only a new process can help."""
    return path.failures_in_a_row >= FAILURES_UNTIL_BROKEN


def network_trouble(path: FramePath, usual: float, patience: float) -> str:
    """One line on what is wrong, empty if nothing is.

    usual: milliseconds of an inference, as a rule. patience: seconds for which nobody worries.
    """
    if is_broken(path):
        return (
            f"the network failed for {path.failures_in_a_row} images in a row: this process ends, "
            "for launch or systemd to start a new one"
        )
    seconds = path.inference_seconds
    if seconds > max(patience, UNUSUAL * usual / 1e3):
        return (
            f"an image has been in the network for {seconds:.0f} s, usual are {usual:.0f} ms: its "
            "engine hangs, or the machine is overloaded"
        )
    return ""
