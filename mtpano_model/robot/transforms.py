"""A small buffer of stamped transforms, for where tf2 is not installed.

A tree of frames, each with one parent; a transform takes points of the child to the parent:
p_parent = R @ p_child + t. Between two stamps positions are interpolated linearly and rotations
along the shortest arc (slerp). Nothing is extrapolated. Times are seconds.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from math import isfinite
from threading import Lock

import cv2
import numpy as np
from numpy.typing import NDArray

from mtpano_model.geometry.sphere import turn_of_quaternion

Vector = NDArray[np.float64]
_LONGEST_CHAIN = 100


_LONGEST_NAME = 80  # characters


def frame_text(name: str) -> str:
    """The name of a frame, which others chose, as a word for one line of a log."""
    return repr(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}...")


class TransformError(Exception):
    """One sentence: why a transform cannot be told."""


class NotYet(TransformError):
    """The transform may still come: the image can be held back for it."""


@dataclass(frozen=True, eq=False)
class Transform:
    """rotation: quaternion [x, y, z, w] of length 1. translation: [3], metres."""

    rotation: Vector
    translation: Vector

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The rotation, [3, 3]."""
        return turn_of_quaternion(*self.rotation)

    def then(self, outer: Transform) -> Transform:
        """This one first, `outer` on its result."""
        return Transform(
            _product(outer.rotation, self.rotation),
            outer.matrix @ self.translation + outer.translation,
        )

    def inverse(self) -> Transform:
        """From the parent to the child."""
        back = self.rotation * (-1, -1, -1, 1)
        return Transform(back, -(Transform(back, self.translation).matrix @ self.translation))


IDENTITY = Transform(np.array([0.0, 0.0, 0.0, 1.0]), np.zeros(3))


def make_transform(rotation: Vector, translation: Vector) -> Transform:
    """A transform of a quaternion of any length near 1; TransformError where it is none."""
    rotation, translation = np.asarray(rotation, float), np.asarray(translation, float)
    length = float(np.linalg.norm(rotation))
    if not abs(length - 1) < 0.1 or not np.isfinite(translation).all():
        raise TransformError(
            f"rotation {rotation.tolist()} and translation {translation.tolist()} are no "
            "transform: expected a quaternion of length 1 and three numbers"
        )
    return Transform(rotation / length, translation)


class TransformBuffer:
    """The last `seconds` of every moving transform, and every static one. Any thread."""

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._edges: dict[str, _Edge] = {}
        self._lock = Lock()

    def add(
        self, parent: str, child: str, transform: Transform, stamp: float, static: bool = False
    ) -> None:
        """Take a transform; TransformError where it would close a loop or has no time."""
        parent, child = parent.lstrip("/"), child.lstrip("/")
        if not static and not isfinite(stamp):
            raise TransformError(
                f"the transform of {frame_text(child)} has the time {stamp}: expected a number"
            )
        with self._lock:
            if child in self._chain(parent):
                raise TransformError(
                    f"the transform from {frame_text(child)} to {frame_text(parent)} closes a "
                    "loop: frames are a tree, each with one parent"
                )
            edge = self._edges.get(child)
            if edge is None or edge.parent != parent or edge.static != static:
                edge = self._edges[child] = _Edge(parent, static, [], {})
            edge.add(stamp, transform, self._seconds)

    def look_up(self, target: str, source: str, stamp: float | None) -> tuple[Transform, float]:
        """What takes points of `source` to `target` at `stamp`, and for which time it holds.

        stamp: None for the newest time of which all that is needed is known; it is inf where all is
        static. NotYet where a frame is unknown or the newest transform is older than the stamp;
        another TransformError where it can no longer come.
        """
        with self._lock:
            return self._look_up(target.lstrip("/"), source.lstrip("/"), stamp)

    def _look_up(self, target: str, source: str, stamp: float | None) -> tuple[Transform, float]:
        up, down = self._chain(source), self._chain(target)
        for frame, chain in ((source, up), (target, down)):
            if len(chain) == 1 and not self._is_parent(frame) and source != target:
                raise NotYet(f"frame {frame_text(frame)} is not in TF")
        common = next((frame for frame in up if frame in down), None)
        if common is None:
            raise NotYet(
                f"frames {frame_text(source)} and {frame_text(target)} are in TF, but nothing "
                "joins them"
            )
        up, down = up[: up.index(common)], down[: down.index(common)]
        if stamp is None:
            stamp = min((self._edges[frame].newest for frame in up + down), default=float("inf"))
        to_common = self._along(up, stamp)
        return to_common.then(self._along(down, stamp).inverse()), stamp

    def _along(self, frames: list[str], stamp: float) -> Transform:
        total = IDENTITY
        for frame in frames:
            total = total.then(self._edges[frame].at(stamp, frame))
        return total

    def _chain(self, frame: str) -> list[str]:
        """The frame, its parent, and so on."""
        chain = [frame]
        while chain[-1] in self._edges and len(chain) < _LONGEST_CHAIN:
            chain.append(self._edges[chain[-1]].parent)
        return chain

    def _is_parent(self, frame: str) -> bool:
        return any(edge.parent == frame for edge in self._edges.values())


@dataclass
class _Edge:
    parent: str
    static: bool
    stamps: list[float]
    transforms: dict[float, Transform]

    def add(self, stamp: float, transform: Transform, seconds: float) -> None:
        if self.static:
            stamp = 0.0
        if self.stamps and stamp < self.stamps[-1] - seconds:
            # Time was set back: a bag that begins again.
            self.stamps.clear()
            self.transforms.clear()
        if stamp not in self.transforms:
            insort(self.stamps, stamp)
        self.transforms[stamp] = transform
        while self.stamps[0] < self.stamps[-1] - seconds:
            del self.transforms[self.stamps.pop(0)]

    @property
    def newest(self) -> float:
        return float("inf") if self.static else self.stamps[-1]

    def at(self, stamp: float, child: str) -> Transform:
        if self.static:
            return self.transforms[0.0]
        first, last = self.stamps[0], self.stamps[-1]
        if stamp > last:
            raise NotYet(
                f"the newest transform of {frame_text(child)} is {stamp - last:.3f} s older than "
                "the image"
            )
        if stamp < first:
            raise TransformError(
                f"the image is {first - stamp:.3f} s older than the oldest transform of "
                f"{frame_text(child)}"
            )
        after = bisect_left(self.stamps, stamp)
        if self.stamps[after] == stamp:
            return self.transforms[stamp]
        before, beyond = self.stamps[after - 1], self.stamps[after]
        part = (stamp - before) / (beyond - before)
        return _between(self.transforms[before], self.transforms[beyond], part)


def _between(one: Transform, other: Transform, part: float) -> Transform:
    translation = (1 - part) * one.translation + part * other.translation
    first, second = one.rotation, other.rotation
    cosine = float(first @ second)
    if cosine < 0:  # q and -q are the same rotation: take the shorter way
        second, cosine = -second, -cosine
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-6:
        mixed = (1 - part) * first + part * second
    else:
        mixed = (np.sin((1 - part) * angle) * first + np.sin(part * angle) * second) / np.sin(angle)
    return Transform(mixed / np.linalg.norm(mixed), translation)


def _product(a: Vector, b: Vector) -> Vector:
    """Quaternion of the rotation b, then a."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return np.array(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ]
    )


def quaternion_of(matrix: NDArray[np.float64]) -> Vector:
    """[x, y, z, w] of a rotation matrix [3, 3], w not below 0."""
    turn, _ = cv2.Rodrigues(np.asarray(matrix, np.float64))
    angle = float(np.linalg.norm(turn))
    axis = turn.ravel() / angle if angle > 1e-12 else np.zeros(3)
    return np.append(axis * np.sin(angle / 2), np.cos(angle / 2))
