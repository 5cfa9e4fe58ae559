"""How old a message is, if its stamp is of the same clock. Needs no ROS."""

from __future__ import annotations

import math

# A stamp outside these is of another clock: seconds since boot, another host's, 0. Two hosts that
# are synchronised may still differ by some milliseconds.
_PLAUSIBLE_MS = (-100.0, 60_000.0)


def stamp_age_ms(stamp: int, now: int) -> float:
    """Milliseconds from a message's stamp to now, both in ns; NaN if the stamp cannot be right."""
    age = (now - stamp) / 1e6
    return age if stamp and _PLAUSIBLE_MS[0] <= age <= _PLAUSIBLE_MS[1] else math.nan
