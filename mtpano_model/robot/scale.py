"""True metres from one known length: the camera's height over the floor.

A network's metres are right in rooms like those that it has seen. Elsewhere they are wrong by one
factor for the whole picture, of up to 3. The floor gives that factor: a floor pixel at depth d, at
an angle a below the horizon, lies d sin(a) below the camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, isfinite, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError
from mtpano_model.robot.sampling import Floats, along
from mtpano_model.robot.surfaces import labelled

# Nearer to the horizon a small error of the angle is a large one of the height.
MIN_DEPRESSION_DEGREES = 17.0
# Of the pixels that look down steeply enough: fewer say nothing about a floor.
MIN_SHARE = 0.03
# Half the distance between the quartiles, over the median: more is no plane.
MAX_SPREAD = 0.15
# Heights at which people carry cameras. In 28 real panoramas the default model puts the camera
# into this range in small rooms (1.10 m and more) and below it in halls and outdoors (0.16 to
# 0.81 m), but for a forest, two roads and a circus. A low robot is to give its height.
PLAUSIBLE_METRES = (0.8, 2.2)
_LIMITS_METRES = (0.05, 20.0)


@dataclass(frozen=True)
class FloorView:
    """What one frame says about the floor.

    height: metres from the camera down to it as predicted, NaN where no floor is seen. share: of
    the pixels that look down steeply, how many are labelled floor and have a depth, 0..1. spread:
    half the distance between the quartiles of their heights, over the median.
    """

    height: float
    share: float
    spread: float

    @property
    def reliable(self) -> bool:
        """Whether there is enough floor, and flat enough, to measure by."""
        return self.share >= MIN_SHARE and self.spread <= MAX_SPREAD


def floor_view(
    depth: Floats, labels: NDArray[Any], down: NDArray[Any], floor_ids: tuple[int, ...]
) -> FloorView:
    """Measure the floor in an answer or frame, [H, W] each, by some 64 of its rows."""
    step = max(1, depth.shape[0] // 64)
    every = (slice(step // 2, None, step), slice(step // 2, None, step))
    sine = along(down, depth.shape, step)
    steep = sine > np.sin(np.radians(MIN_DEPRESSION_DEGREES))
    metres, ids = depth[every][steep], labels[every][steep]
    floor = np.isfinite(metres) & labelled(ids, floor_ids)
    heights = metres[floor] * sine[steep][floor]
    count = len(heights)
    if not count:
        return FloorView(float("nan"), 0.0, float("inf"))
    quartiles = count // 4, count // 2, 3 * count // 4
    lower, middle, upper = np.partition(heights, quartiles)[list(quartiles)]
    return FloorView(float(middle), count / len(metres), float((upper - lower) / 2 / middle))


@dataclass(frozen=True)
class Scale:
    """What to multiply depth by, and whether the result can be trusted.

    factor: 1 if nothing is corrected. trusted: whether the metres are plausible. reason: a sentence
    if they are not, else "".
    """

    factor: float = 1.0
    trusted: bool = True
    reason: str = ""


def check_camera_height(metres: float) -> float:
    """The height itself; MtpanoError if it is no plausible height of a camera, in metres."""
    low, high = _LIMITS_METRES
    if not low <= metres <= high:
        raise MtpanoError(
            f"camera height {metres:g} m cannot be: expected {low:g} to {high:g} metres over the "
            "floor, or none at all"
        )
    return metres


class MetricScale:
    """One factor a frame, smoothed in time.

    camera_height: metres over the floor; None where it is not known, and then nothing is corrected,
    but implausible heights are told. deadband: a factor nearer to 1 than 1 + deadband is left out
    (and than 1 / (1 + deadband) below 1). On 56 views of unseen rooms correcting always lowers
    AbsRel from .067 to .057 if the height is exact, and raises it to .086 if it is 5 % too large;
    with 0.15 it is .065 and .067.
    seconds: the time within which the factor follows a change.
    """

    def __init__(
        self, camera_height: float | None = None, deadband: float = 0.15, seconds: float = 1.0
    ) -> None:
        if not 0 <= deadband < 1 or not 0 <= seconds < float("inf"):
            raise MtpanoError(
                f"deadband {deadband:g} and smoothing of {seconds:g} s make no sense: expected a "
                "deadband from 0 to below 1 and 0 seconds or more"
            )
        self._deadband, self._seconds = deadband, seconds
        self.camera_height = camera_height
        self._log_factor: float | None = None
        self._at = 0.0
        self._applied = False

    @property
    def camera_height(self) -> float | None:
        """Metres over the floor; MtpanoError where it is set to what cannot be."""
        return self._height

    @camera_height.setter
    def camera_height(self, metres: float | None) -> None:
        self._height = None if metres is None else check_camera_height(metres)

    def update(self, floor: FloorView, stamp: float) -> Scale:
        """The factor for a frame of this floor, taken at `stamp` (seconds)."""
        if self._height is None:
            self._log_factor = None
            return _judged(floor)
        if floor.reliable:
            self._follow(log(self._height / floor.height), stamp)
        if self._log_factor is None:
            return Scale(
                1.0, False, f"no floor to measure by: {floor.share:.0%} of what lies below is floor"
            )
        # Entered at the deadband and left at half of it, so that a factor near it does not flicker.
        limit = log(1 + self._deadband) / (2 if self._applied else 1)
        self._applied = abs(self._log_factor) > limit
        return Scale(exp(self._log_factor) if self._applied else 1.0)

    def _follow(self, measured: float, stamp: float) -> None:
        elapsed = stamp - self._at
        if self._log_factor is None or not 0 <= elapsed < 10 * max(self._seconds, 1.0):
            self._log_factor = measured  # the first, after a gap, or after a jump back in time
        else:
            part = 1 - exp(-elapsed / self._seconds) if self._seconds else 1.0
            self._log_factor += part * (measured - self._log_factor)
        self._at = stamp


def _judged(floor: FloorView) -> Scale:
    low, high = PLAUSIBLE_METRES
    if not floor.reliable or not isfinite(floor.height) or low <= floor.height <= high:
        return Scale()
    return Scale(
        1.0,
        False,
        f"scale not to be trusted: the camera would be {floor.height:.2f} m over the floor, "
        f"expected {low:g} to {high:g} m; set camera_height",
    )
