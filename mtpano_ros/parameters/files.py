"""Parameter files whose keys name other nodes: rcl reads nothing in them and does not say so."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from mtpano_model.stored_files import parse_yaml

VALUES = "ros__parameters"


def unread_files(arguments: Sequence[str], node: str) -> Iterator[str]:
    """One line for each `--params-file` of a command line that has nothing for `node`.

    node: the fully qualified name. A file that cannot be read is rcl's to refuse.
    """
    for flag, path in pairwise(arguments):
        if flag != "--params-file":
            continue
        try:
            # As rcl does: every document in it, UTF-16 too.
            documents = parse_yaml(Path(path).read_bytes(), many=True)
        except (OSError, ValueError):
            continue
        keys = [key for document in documents for key in _keys(document)]
        if keys and not any(_names(key, node) for key in keys):
            yield (
                f"parameter file '{path}' has parameters for {', '.join(keys)} and none for "
                f"{node}, which reads nothing of it: write /** or {node} as the key"
            )


def _keys(document: Any, prefix: str = "") -> Iterator[str]:
    """Names of nodes, absolute; a namespace may be a mapping of its own."""
    if not isinstance(document, dict):
        return
    for key, value in document.items():
        name = f"{prefix}/{str(key).strip('/')}"
        if isinstance(value, dict) and VALUES in value:
            yield name
        else:
            yield from _keys(value, name)


def _names(key: str, node: str) -> bool:
    """By rcl's rules: `*` is one part of a name, `**` any number of them."""
    wild = {"*": "/[^/]+", "**": "(/[^/]+)*"}
    pattern = "".join(wild.get(part, "/" + re.escape(part)) for part in key.split("/")[1:])
    return re.fullmatch(pattern, node) is not None
