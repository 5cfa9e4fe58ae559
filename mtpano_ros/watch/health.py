"""The health of an active node, as it is checked once a second."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Health:
    """As it is once a second.

    silence: seconds without an image. resting: nobody wants images, so none is taken.
    trouble: why images do not get through the network, empty if they do.
    broken: the network has failed so often that only a new process can help.
    """

    silence: float = 0.0
    resting: bool = True
    trouble: str = ""
    broken: bool = False
