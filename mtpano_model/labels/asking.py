"""Calls a teacher, which is third-party code: handles its exceptions and checks its results."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable

import torch

from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.labels.teacher import PanoramaTeacher, Teacher, TeacherLabels, check_labels
from mtpano_model.last_resort import TRACEBACK

# What torch says where a CPU has no memory left; it has a class of its own for GPUs alone.
_CPU_SIGNS = ("can't allocate memory", "not enough memory", "Cannot allocate memory")


class TeacherFailed(MtpanoError):
    """A teacher raised an error at a picture, which may be the picture's fault."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the GPU or the machine has too little memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _CPU_SIGNS)


def ask(
    teacher: Teacher | PanoramaTeacher,
    label: Callable[[], TeacherLabels],
    picture: str,
    count: int,
    size: tuple[int, int],
) -> TeacherLabels | None:
    """The labels that `label` returns; None if it runs out of memory, which is freed by then.

    count, size: number of pictures to label, and their (h, w). TeacherFailed if it raises anything
    else, MtpanoError if its labels do not have the promised form.
    """
    try:
        labels = label()
        check_labels(labels, teacher, count, size)
        return labels
    except MtpanoError:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            if os.environ.get(TRACEBACK):
                raise
            raise TeacherFailed(
                f"teacher '{teacher.name}' failed at '{picture}' ({one_line(error)}): check the "
                "picture and the teacher (with --on, such pictures are skipped and listed); "
                f"{TRACEBACK}=1 shows the traceback"
            ) from error
    # Here, not above: the error holds on to all that its frames do.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
