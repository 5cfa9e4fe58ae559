"""The process of a worker: its tasks, its GPU, and how it ends."""

from __future__ import annotations

import logging
import os
import signal
import threading
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from typing import Any

from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.labels.job.job import Job, TaskEnd

log = logging.getLogger(__name__)


def serve(job: Job, pipe: Connection, slot: int) -> None:
    """Label the tasks that come through the pipe until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to answer
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    pin_gpu(job.gpu, slot)
    at_hand: list[Any] = []  # the worker, once there is one
    signal.signal(signal.SIGTERM, lambda *_: _leave(at_hand))
    threading.Thread(target=_leave_with_the_driver, args=(at_hand,), daemon=True).start()
    while (task := _next(pipe)) is not None:
        pipe.send(label_task(job, task, at_hand))


def label_task(job: Job, task: int, at_hand: list[Any]) -> TaskEnd:
    """Label one task with this process's worker, which the first task makes and `at_hand` keeps.

    An unexpected error, or a teacher's, ends the process, so that what it leaves behind, such as a
    GPU in an undefined state, affects no other picture. The picture at hand is noted with the
    reason.
    """
    from mtpano_model.labels.asking import TeacherFailed
    from mtpano_model.labels.job.worker import Worker

    try:
        if not at_hand:
            at_hand.append(Worker(job))
        return at_hand[0].label(task)
    except TeacherFailed as error:
        log.warning("%s", error)
        note_of(at_hand).died(one_line(error.__cause__ or error))
        os._exit(1)
    except MtpanoError as error:
        if (note := note_of(at_hand)) is not None:
            note.close()
        return TaskEnd(task, "stopped", reason=str(error))
    except Exception as error:
        log.exception("task %d", task)
        why = one_line(error)
        if (note := note_of(at_hand)) is None:  # before any picture: every worker would meet it
            return TaskEnd(task, "stopped", reason=why)
        note.died(why)
        os._exit(1)
    except BaseException:  # told to end
        if (note := note_of(at_hand)) is not None:
            note.leave()
        raise


def note_of(at_hand: list[Any]) -> Any:
    """The note of the task at hand, if there is one."""
    return at_hand[0].note if at_hand else None


def pin_gpu(wanted: bool | None, slot: int) -> None:
    """Let this process see one GPU only, the slot-th in turn; call it before torch finds them."""
    if wanted is False:
        return
    import torch

    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = seen.split(",") if seen else list(map(str, range(torch.cuda.device_count())))
    if devices:
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[slot % len(devices)]


def _next(pipe: Connection) -> int | None:
    try:
        return pipe.recv()
    except (EOFError, OSError):
        return None


def _leave_with_the_driver(at_hand: list[Any]) -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    _leave(at_hand)


def _leave(at_hand: list[Any]) -> None:
    if (note := note_of(at_hand)) is not None:
        note.leave()
    os._exit(0)
