"""Which teachers may label together."""

from __future__ import annotations

from collections.abc import Sequence

from mtpano_model.errors import MtpanoError
from mtpano_model.labels.teacher import PanoramaTeacher, Teacher, is_metric


def check_tasks(teachers: Sequence[Teacher | PanoramaTeacher]) -> None:
    """MtpanoError if two claim one task that cannot be merged, none of depth knows metres, or
    there is none at all."""
    names = [teacher.name for teacher in teachers]
    twice = [name for name in names if names.count(name) > 1]
    by_task: dict[str, Teacher | PanoramaTeacher] = {}
    for teacher in teachers:
        for task in teacher.tasks:
            first = by_task.setdefault(task, teacher)
            votes = task == "semseg" and isinstance(first, Teacher) and isinstance(teacher, Teacher)
            merged = votes or (task == "depth" and not twice)
            if first is not teacher and not merged:
                raise MtpanoError(
                    f"teachers '{first.name}' and '{teacher.name}' both label {task}: give one"
                )
    if not by_task:
        raise MtpanoError("no teacher: give at least one with --teacher")
    deep = [teacher for teacher in teachers if "depth" in teacher.tasks]
    if deep and not any(map(is_metric, deep)):
        raise MtpanoError(
            f"teacher '{deep[0].name}' knows depth only up to a scale: add one that knows metres, "
            "such as moge2 or dap"
        )


def common_pitch(teachers: Sequence[Teacher]) -> tuple[float, float]:
    """The pitches in degrees that suit all; MtpanoError if there are none."""
    low = max((t.pitch_deg[0] for t in teachers), default=-90.0)
    high = min((t.pitch_deg[1] for t in teachers), default=90.0)
    if low > high:
        raise MtpanoError(
            f"teachers {', '.join(t.name for t in teachers)} prefer pitches that do not meet: "
            "give a range with --pitch"
        )
    return low, high
