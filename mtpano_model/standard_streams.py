"""The three standard streams, open even where who started the process closed them (`>&-`).

Else Python has None in their place, and the first file that is opened gets their number: what a C
library prints would end up in it. Loads nothing but Python.
"""

from __future__ import annotations

import os
import sys

_STREAMS = ("stdin", "stdout", "stderr")


def open_missing_streams() -> None:
    """Open those that are closed on the null device. To be called before any file is opened."""
    for number, name in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            # It gets the lowest number that is free. Child processes need theirs, too.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
