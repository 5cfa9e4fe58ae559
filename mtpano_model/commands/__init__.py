"""The console script `mtpano`: one table of commands, each imported only when it is called.

A command is a module with a documented dataclass `Args` and `run(args) -> int` (exit status).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

from mtpano_model import __version__
from mtpano_model.errors import MtpanoError

# name: (module, one line of help, what to install where an import fails)
COMMANDS: dict[str, tuple[str, str, str]] = {
    "predict": ("predict", "pictures in; panels, depth, normals, labels and clouds out", "cpu"),
    "doctor": ("doctor", "say what is installed, what is missing and what to mend", "cpu"),
    "build-engine": ("build_engine", "build and cache a TensorRT engine, then exit", "tensorrt"),
    "train": ("train", "train a network on panoramas with labels", "train"),
    "label": ("label", "make pseudo labels for plain panoramas with teacher models", "train"),
    "evaluate": ("evaluate", "measure a model on a data set and write a report", "train"),
    "export": ("export", "turn a checkpoint into the ONNX model that robots run", "train"),
    "parity": ("parity", "compare network, losses and metrics with the authors' numbers", "train"),
    "convert-released": ("convert_released", "convert the MTPano authors' weights", "train"),
    "ablation": ("ablation", "train and compare variants of the network", "train"),
    "rotation-study": ("rotation_study", "measure how predictions bear rotations", "train"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run `mtpano ARGS`; returns the exit status: 0 done, 1 failed with one line, 2 misused."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        print(f"mtpano {__version__}")
        return 0
    name = arguments[0].replace("_", "-")
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "`mtpano --help` lists them"
        print(f"mtpano: unknown command '{arguments[0]}', {hint}", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        return _run(name, arguments[1:])
    except MtpanoError as error:
        print(f"mtpano {name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"mtpano {name}: interrupted", file=sys.stderr)
        return 130


def _run(name: str, arguments: list[str]) -> int:
    module_name, _, extra = COMMANDS[name]
    try:
        import tyro

        module = import_module(f"mtpano_model.commands.{module_name}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("mtpano"):
            raise
        raise MtpanoError(
            f"the Python module '{error.name}' is not installed: run "
            f'pip install ".[{extra}]" in the checkout of mtpano'
        ) from error
    args = tyro.cli(module.Args, prog=f"mtpano {name}", args=arguments)
    return module.run(args)


def _overview() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name:<{width}}{help_line}" for name, (_, help_line, _) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: mtpano COMMAND [ARGS]",
            "",
            "One 360-degree panorama in; metric depth, surface normals and semantics out.",
            "",
            *lines,
            "",
            "`mtpano COMMAND --help` tells a command's arguments; `mtpano --version` the version.",
        ]
    )
