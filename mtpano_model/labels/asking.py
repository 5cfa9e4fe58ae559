"""Calls a teacher, which is other people's code: handles what it raises, checks what it gives."""

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
    """Whether an error says that memory, of a GPU or the machine, does not suffice."""
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
    """What `label` returns, None where memory does not suffice, freed by then.

    count, size: the pictures it labels, and their (h, w). TeacherFailed if it raises anything
    else, MtpanoError if its answer has another form.
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
                f"teacher '{teacher.name}' failed at '{picture}' ({one_line(error)}): mend it "
                f"(with --on, such pictures are skipped and named); {TRACEBACK}=1 shows where"
            ) from error
    # Here, not above: the error holds on to all that its frames do.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None
