"""Checks which teachers can label together."""

from __future__ import annotations

from collections.abc import Sequence

from mtpano_model.errors import MtpanoError
from mtpano_model.labels.teacher import PanoramaTeacher, Teacher, is_metric


def check_tasks(teachers: Sequence[Teacher | PanoramaTeacher]) -> None:
    """MtpanoError if two label one task that cannot be merged, no depth teacher is metric, or there
    is no teacher at all."""
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
            f"teacher '{deep[0].name}' gives depth only up to an unknown scale: add a metric "
            "teacher, such as moge2 or dap"
        )


def common_pitch(teachers: Sequence[Teacher]) -> tuple[float, float]:
    """The pitch range in degrees that suits all teachers; MtpanoError if there is none."""
    low = max((t.pitch_deg[0] for t in teachers), default=-90.0)
    high = min((t.pitch_deg[1] for t in teachers), default=90.0)
    if low > high:
        raise MtpanoError(
            f"teachers {', '.join(t.name for t in teachers)} prefer pitch ranges that do not "
            "overlap: give a range with --pitch"
        )
    return low, high
