"""The table of all tasks: what each predicts, in how many channels, in which stream.

Invariant: rolling the panorama by a yaw rolls the target unchanged. Variant: the target is a
vector field that must also be rotated about the vertical axis (arXiv 2602.05330, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stream = Literal["invariant", "variant"]
Kind = Literal["classes", "value", "direction"]


@dataclass(frozen=True)
class Task:
    """One prediction target.

    channels: feature channels of the prediction; None means "one per class".
    stream: the stream whose features predict it.
    main: True for the tasks a robot receives, False for auxiliary ones that only help training.
    unit: what a value means.
    kind: how a main task's map is brought to the picture's size. "classes": the best logit's id,
        nearest pixel; "value": one channel, bilinear; "direction": three, bilinear, unit length.
    field: the name of the finished map, in `inference.Frame` and as the output of a graph that
        finishes it. Empty: the task's own name.
    optional: True where a model may do without it; of kind "value" or "direction".
    """

    name: str
    channels: int | None
    stream: Stream
    main: bool
    unit: str
    kind: Kind = "value"
    field: str = ""
    optional: bool = False

    @property
    def finished_name(self) -> str:
        """`field`, or the task's own name."""
        return self.field or self.name

    def num_channels(self, num_classes: int) -> int:
        """Channels of the prediction, given the size of the class set."""
        return num_classes if self.channels is None else self.channels


SEMSEG = Task("semseg", None, "invariant", True, "class logits", "classes", "labels")
DEPTH = Task("depth", 1, "invariant", True, "metres along the pixel's ray")
NORMALS = Task(
    "normals", 3, "variant", True, "unit vector, optical frame, towards the camera", "direction"
)
CONFIDENCE = Task(
    "confidence", 1, "invariant", True, "probability that depth is within 10 %", optional=True
)
GRAD = Task("grad", 2, "invariant", False, "Sobel Gx, Gy of the grey image in [0, 1]")
EDF = Task("edf", 1, "invariant", False, "log(1 + pixels to the nearest edge)")
POINT = Task("point", 3, "variant", False, "metres, optical frame: ray x depth")

MAIN_TASKS = (SEMSEG, DEPTH, NORMALS, CONFIDENCE)
AUXILIARY_TASKS = (GRAD, EDF, POINT)
# The order in which the bridge lays its key/value tokens side by side (the release's order).
BRIDGE_ORDER = (GRAD, EDF, SEMSEG, DEPTH, NORMALS, POINT)
TASKS = {task.name: task for task in MAIN_TASKS + AUXILIARY_TASKS}
