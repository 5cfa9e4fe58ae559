"""A command line into a dataclass, the same for every program here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtpano_model.addresses import refuse_addresses
from mtpano_model.errors import MtpanoError


def parsed(
    kind: Any, prog: str, arguments: Sequence[str] | None, description: str | None = None
) -> Any:
    """Arguments as the dataclass `kind`; tyro ends the process if it cannot parse them.

    arguments: None takes sys.argv's. description: replaces the dataclass's docstring in --help.

    MtpanoError if a path is empty, such as "$UNSET" in a shell (pathlib would take it for the
    working directory), or is an address.
    """
    import tyro  # where it is missing, whoever calls says what to install

    words = sys.argv[1:] if arguments is None else list(arguments)
    args = tyro.cli(kind, prog=prog, args=words, description=description)
    if "." not in words and any(word == "" or word.endswith("=") for word in words):
        for name, value in vars(args).items():
            places = value if isinstance(value, list) else [value]
            if Path() in places or (value == "" and name == "input"):
                raise MtpanoError(
                    f"the path '{name}' is empty: is a variable of the shell not set? The folder "
                    "here is '.'"
                )
    refuse_addresses(vars(args).values(), words)
    return args


def check_least(args: Any, least: int, *names: str) -> None:
    """MtpanoError if one of these whole numbers of a command line is below `least`; None may be."""
    for name in names:
        value = getattr(args, name)
        if value is not None and value < least:
            flag = name.replace("_", "-")
            raise MtpanoError(f"--{flag} {value} is too small: expected {least} or more")
