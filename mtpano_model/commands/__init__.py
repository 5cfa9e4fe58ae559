"""The console script `mtpano`: one table of commands, each imported only when it is called.

A command is a module with a documented dataclass `Args` and `run(args) -> int` (exit status).
"""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from mtpano_model import __version__
from mtpano_model.command_line import parsed
from mtpano_model.errors import MtpanoError, nearest
from mtpano_model.last_resort import TRACEBACK, exit_status
from mtpano_model.standard_streams import open_missing_streams

# name: (module, one line of help, what to install where an import fails)
COMMANDS: dict[str, tuple[str, str, str]] = {
    "predict": ("predict", "predict depth, normals, labels and clouds for pictures", "cpu"),
    "rig": ("rig", "check, calibrate or describe a rig of fisheye or pinhole lenses", "cpu"),
    "labelspace": ("labelspace", "write Hydra's labelspace for a model's classes", "cpu"),
    "doctor": ("doctor", "check what is installed, what is missing and how to fix it", "cpu"),
    "build-engine": ("build_engine", "build and cache a TensorRT engine, then exit", "tensorrt"),
    "train": ("train", "train a network on panoramas with labels", "train"),
    "label": ("label", "make pseudo labels for plain panoramas with teacher models", "train"),
    "render": ("render", "render generated worlds with exact depth, normals and classes", "cpu"),
    "evaluate": ("evaluate", "measure a model on a data set and write a report", "train"),
    "export": ("export", "turn a checkpoint into the ONNX model that robots run", "train"),
    "parity": ("parity", "compare network, losses and metrics with the authors' numbers", "train"),
    "convert-weights": ("convert_weights", "convert weights of DA360 and others", "train"),
    "convert-released": ("convert_released", "convert the MTPano authors' weights", "train"),
    "ablation": ("ablation", "train and compare variants of the network", "train"),
    "rotation-study": ("rotation_study", "measure how rotations change the predictions", "train"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run `mtpano ARGS`. Exit status: 0 success, 1 failure (one line on stderr), 2 wrong usage."""
    open_missing_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0].replace("_", "-") if arguments else ""
    who = f"mtpano {name}" if name in COMMANDS else "mtpano"
    try:
        return exit_status(lambda: _start(name, arguments), who)
    except KeyboardInterrupt:
        print(f"{who}: interrupted", file=sys.stderr)
        return 130


def _start(name: str, arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        print(f"mtpano {__version__}")
        return 0
    if name not in COMMANDS:
        near = nearest(name, COMMANDS)
        hint = f"did you mean '{near}'?" if near else "`mtpano --help` lists them"
        print(f"mtpano: unknown command '{arguments[0]}', {hint}", file=sys.stderr)
        return 2
    with suppress(ValueError):  # only the main thread may
        # As Ctrl-C: half-written files are removed on the way out.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    import logging  # here, as the overview needs none

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if isinstance(sys.stdout, io.TextIOWrapper):  # no file name may end a command
        sys.stdout.reconfigure(errors="backslashreplace")
    return _run(name, arguments[1:])


def _run(name: str, arguments: list[str]) -> int:
    module_name, help_line, extra = COMMANDS[name]
    try:
        import tyro  # noqa: F401 (before the module, whose own imports take seconds)

        module = import_module(f"mtpano_model.commands.{module_name}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("mtpano"):
            raise
        raise MtpanoError(
            f"the Python module '{error.name}' is not installed: run "
            f'pip install ".[{extra}]" in the checkout of mtpano'
        ) from error
    # A command of subcommands has no dataclass of its own, whose docstring would be shown.
    about = None if isinstance(module.Args, type) else f"{help_line.capitalize()}."
    return module.run(parsed(module.Args, f"mtpano {name}", arguments, about))


def _overview() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{help_line}" for name, (_, help_line, _) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: mtpano COMMAND [ARGS]",
            "",
            "From 360-degree panoramas to metric depth, surface normals and semantics.",
            "",
            *lines,
            "",
            "`mtpano COMMAND --help` explains a command's arguments, `mtpano --version` prints the",
            f"version. {TRACEBACK}=1 shows the traceback of an unexpected error.",
        ]
    )
