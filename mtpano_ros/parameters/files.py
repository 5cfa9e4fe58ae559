"""Finds what rcl does not report in parameter files: nothing for the node, or a value twice."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import yaml

VALUES = "ros__parameters"


def odd_files(arguments: Sequence[str], node: str) -> Iterator[str]:
    """One line for each thing that is odd about the `--params-file`s of a command line.

    node: the fully qualified name. A file that cannot be read is rcl's to refuse.
    """
    for flag, path in pairwise(arguments):
        # What is no regular file, such as bash's <(...), can be read only once.
        if flag != "--params-file" or not os.path.isfile(path):
            continue
        try:
            # As rcl does: every document in it, UTF-16 too.
            documents = list(yaml.compose_all(Path(path).read_bytes(), yaml.SafeLoader))
            given = [one for document in documents for one in _given(document)]
        except (OSError, ValueError, RecursionError, yaml.YAMLError):
            continue
        keys = list(dict.fromkeys(key for key, _ in given))
        if not keys:
            yield (
                f"parameter file '{path}' sets nothing: expected {node}: {{{VALUES}: {{NAME: "
                "VALUE}}, or /** in the place of the node"
            )
        elif not any(_names(key, node) for key in keys):
            yield (
                f"parameter file '{path}' has parameters for {', '.join(keys)} and none for "
                f"{node}, which reads nothing of it: write /** or {node} as the key"
            )
        for (key, name), count in Counter(given).items():
            if count > 1 and name and _names(key, node):
                yield f"parameter file '{path}' sets {name} {count} times: the last one counts"


def _given(document: yaml.Node | None, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(node, parameter) as they come; a section without parameters gives its node and "".

    Names are absolute; a namespace may be a mapping of its own.
    """
    for key, value in _items(document):
        name = f"{prefix}/{key.strip('/')}"
        sections = [inner for word, inner in _items(value) if word == VALUES]
        for section in sections:
            yield from ((name, leaf) for leaf in _leaves(section) or [""])
        if not sections:
            yield from _given(value, name)


def _leaves(section: yaml.Node, prefix: str = "") -> list[str]:
    found = []
    for key, value in _items(section):
        is_group = isinstance(value, yaml.MappingNode)
        found += _leaves(value, f"{prefix}{key}.") if is_group else [prefix + key]
    return found


def _items(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        yield from ((str(key.value), value) for key, value in node.value)


def _names(key: str, node: str) -> bool:
    """By rcl's rules: `*` is one part of a name, `**` any number of them."""
    wild = {"*": "/[^/]+", "**": "(/[^/]+)*"}
    pattern = "".join(wild.get(part, "/" + re.escape(part)) for part in key.split("/")[1:])
    return re.fullmatch(pattern, node) is not None
