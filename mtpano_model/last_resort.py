"""One line instead of a traceback for unexpected errors. Imports only the standard library."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from mtpano_model.errors import MtpanoError, one_line

TRACEBACK = "MTPANO_TRACEBACK"  # environment variable: show where an unexpected error came from


def exit_status(body: Callable[[], int | None], who: str = "error") -> int:
    """The exit status of `body`: its own, or 0; 1 after an exception, told on stderr in one line.

    who: what the line begins with. Where the exception is none of ours, the line also says where it
    was raised.
    """
    try:
        try:
            return body() or 0
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # while it can be told from other errors
    except BrokenPipeError:  # of `| head`, which has read enough; Python would try again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MtpanoError as error:
        line = one_line(error)
    except Exception as error:  # the last resort: a user gets a line, who debugs the traceback
        if os.environ.get(TRACEBACK):
            raise
        line = _unexpected(error)
    print(f"{who}: {line}", file=sys.stderr)
    return 1


def _unexpected(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        what = f"'{error.filename}' cannot be used" if error.filename else "the system refused"
        return (
            f"{what} ({type(error).__name__}: {error.strerror}): check the path, its permissions "
            "and the free space"
        )
    return (
        f"{one_line(error)} ({_place(error)}); this is a fault of mtpano, please report it with "
        f"the traceback that {TRACEBACK}=1 shows"
    )


def _place(error: BaseException) -> str:
    """File and line of the innermost function of this project."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "mtpano" in Path(frame.filename).parent.as_posix()]
    last = (ours or list(frames))[-1]
    return f"{Path(last.filename).name}:{last.lineno}"
