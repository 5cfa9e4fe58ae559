"""Start an executable of this package: a library that is missing is one line, not a traceback.

    python -m mtpano_ros.start player ARGS

`ros2 run` and launch start everything this way, often with a Python that has no engine yet.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import sys
from types import FrameType

from mtpano_model.last_resort import exit_status
from mtpano_model.standard_streams import open_missing_streams
from mtpano_ros.doctor.built_for import CHANGE_PYTHON, OWN_PYTHON, built_for
from mtpano_ros.process.signals import on_end

EXECUTABLES = {
    "node": "mtpano_ros.node",
    "demo": "mtpano_ros.tools.demo",
    "lenses": "mtpano_ros.tools.lenses",
    "player": "mtpano_ros.tools.player",
    "snapshot": "mtpano_ros.tools.snapshot",
}


def main() -> None:
    """Run the module named first; the rest of the command line is its own."""
    open_missing_streams()
    name = sys.argv.pop(1) if sys.argv[1:] else ""
    if name not in EXECUTABLES:
        sys.exit(f"error: executable {name!r} is not known, expected {', '.join(EXECUTABLES)}")
    module = EXECUTABLES[name]
    # Until the executable has handlers of its own: importing takes a second or two.
    on_end(end)
    try:
        sys.exit(exit_status(lambda: run(module)))
    finally:
        # Python gives handlers back while it ends, but leaves alone what is ignored.
        on_end(signal.SIG_IGN)


def run(module: str) -> int:
    """The module's exit status; 1 with one line if a library cannot be imported."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except ImportError as error:
        line = refusal(error)
        if not line:
            raise
        print(f"error: {line}", file=sys.stderr)
        return 1
    return 0


def end(_number: int, _frame: FrameType | None) -> None:
    """Being told to end is no failure, and nothing has been opened yet.

    An exception would be lost where Python runs this in a weakref callback, as imports have them.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # it may have been interrupted while writing
            stream.flush()
    os._exit(0)


def refusal(error: ImportError) -> str:
    """Why a library cannot be imported and what to do; empty if it is a module of this project."""
    cause: BaseException | None = error
    while cause is not None:
        name = getattr(cause, "name", None) or ""
        library = name.partition(".")[0]
        if library and not library.startswith("mtpano"):
            other = built_for(library)
            if other:
                return (
                    f"{sys.executable} (Python {OWN_PYTHON}) cannot load '{library}', which was "
                    f"built for Python {other}: {CHANGE_PYTHON}"
                )
            if isinstance(cause, ModuleNotFoundError):
                return f"{sys.executable} has no module '{name}': {remedy(library)}"
        cause = cause.__cause__ or cause.__context__
    return ""


def remedy(missing: str) -> str:
    """What to do where a third-party module is missing."""
    if missing == "rclpy":
        return "source a ROS 2 installation, or run pip install '.[ros]' in the project's checkout"
    return (
        "run pip install '.[cpu,bags]' in a virtual environment in the project's checkout, "
        "or name the Python that has it in MTPANO_PYTHON"
    )


if __name__ == "__main__":
    main()
