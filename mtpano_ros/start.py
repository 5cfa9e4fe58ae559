"""Start an executable of this package: a library that is missing is one line, not a traceback.

    python -m mtpano_ros.start player ARGS

`ros2 run` and launch start everything this way, often with a Python that has no engine yet.
"""

from __future__ import annotations

import runpy
import signal
import sys
from types import FrameType


def main() -> None:
    """Run the module named first; the rest of the command line is its own."""
    module = f"mtpano_ros.{sys.argv.pop(1)}"
    # Until the executable has handlers of its own: importing takes a second or two.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not missing or missing.startswith("mtpano"):
            raise
        sys.exit(f"error: {sys.executable} has no module '{missing}': {remedy(missing)}")


def end(_number: int, _frame: FrameType | None) -> None:
    """Being told to end is no failure."""
    sys.exit(0)


def remedy(missing: str) -> str:
    """What to do where a third-party module is missing."""
    if missing == "rclpy":
        return "source a ROS 2 installation, or run pip install '.[ros]' in the project's checkout"
    return (
        "run pip install '.[cpu,bags]' in the project's checkout, "
        "or name the Python that has it in MTPANO_PYTHON"
    )


if __name__ == "__main__":
    main()
