"""`mtpano label` with one more teacher, which does what the pictures' names say.

python job_program.py [--slow SECONDS] [--largest-file BYTES] [--broken STATUS] ARGUMENTS

ARGUMENTS: of mtpano label. --slow: each panorama takes so long. --largest-file stands in for a full
disk. --broken: a worker ends with this status before it has its teachers.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time

from mtpano_model.commands import main
from mtpano_model.labels import opening
from mtpano_model.labels.teacher import TeacherLabels

SLOW = "JOB_PROGRAM_SLOW"
FULL = "JOB_PROGRAM_LARGEST_FILE"
BROKEN = "JOB_PROGRAM_BROKEN"


class Obedient:
    """Depth 1 m plus the picture's red in centimetres, patch by patch."""

    name = "obedient"
    tasks = ("depth",)
    pitch_deg = (-90.0, 90.0)
    license = "none"

    def label(self, patches, views, panorama):
        if "die" in panorama.name:
            os.kill(os.getpid(), signal.SIGKILL)
        if "raise" in panorama.name:
            raise ValueError("no")
        if SLOW in os.environ:
            time.sleep(float(os.environ[SLOW]) / 2)
        return TeacherLabels(depth=1 + patches[:, :1].float() / 100)


def open_all(request):
    """The real one, with the teacher above; it travels to the workers, Ray's too."""
    if BROKEN in os.environ:
        os._exit(int(os.environ[BROKEN]))
    opening.open_teacher = lambda *_: Obedient()
    return getattr(opening, "real_open_all", opening.open_all)(request)


opening.real_open_all = opening.open_all  # type: ignore[attr-defined]
opening.open_all = open_all
if FULL in os.environ:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ[FULL]),) * 2)


def _arguments(words: list[str]) -> list[str]:
    """The arguments of `mtpano label`; ours go into the environment, which workers inherit."""
    for word, variable in (("--slow", SLOW), ("--largest-file", FULL), ("--broken", BROKEN)):
        if word in words:
            place = words.index(word)
            os.environ[variable] = words[place + 1]
            del words[place : place + 2]
    return words


if __name__ == "__main__":
    small = ["--teacher", "obedient", "--height", "32", "--patches", "4", "--patch-size", "32",
             "--batch", "2"]  # fmt: skip
    sys.exit(main(["label", *_arguments(sys.argv[1:]), *small]))
