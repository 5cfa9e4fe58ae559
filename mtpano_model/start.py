"""Start a module as a program: a library that is not installed becomes one line, not a traceback.

    python -m mtpano_model.start mtpano_ros.player ARGS

What `ros2 run` starts meets a Python without torch, or without an engine, before anything else.
"""

from __future__ import annotations

import runpy
import sys

OURS = ("mtpano_model", "mtpano_ros")


def main() -> None:
    """Run the module named first; the rest of the command line is its own."""
    module = sys.argv.pop(1)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not missing or missing in OURS:
            raise
        sys.exit(f"error: {what_to_install(module, missing)}")


def what_to_install(module: str, missing: str) -> str:
    """One sentence: which Python lacks what, and the two ways to mend it."""
    if missing == "rclpy":
        remedy = "source a ROS 2 installation, or install the extra 'ros'"
    else:
        extra = "train" if module.startswith("mtpano_model") else "cpu,bags"
        remedy = f"run {sys.executable} -m pip install '.[{extra}]' in the project's checkout"
    return (
        f"{sys.executable} has no module '{missing}': {remedy}, "
        "or activate or name in MTPANO_PYTHON the environment that has it"
    )


if __name__ == "__main__":
    main()
