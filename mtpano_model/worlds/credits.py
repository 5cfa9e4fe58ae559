"""Writes CREDITS.md of a rendered folder, for the models in its worlds."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from mtpano_model.whole_files import write_whole_text
from mtpano_model.worlds.catalogue import Catalogue, Model
from mtpano_model.worlds.output import writable

_LIBRARIES = Path(__file__).with_name("libraries.csv")
_HEAD = """# Credits for the rendered worlds

Rendered with Blender Cycles (PyPI's `bpy`, GPL-3.0, used as a tool) from places that
`mtpano render` generated. Models were scaled, some re-coloured, bumps and emission removed,
roughness limited, classes and lamps added: these are changes to the original works. No creator
endorses this set. Listed is every model that stands in one of its worlds, seen or not.

Furniture and people: Sweet Home 3D libraries 1.8 (Debian package `sweethome3d-furniture`),
http://www.sweethome3d.com/importModels.jsp, converted by Emmanuel Puybaret / eTeks, unless said
otherwise.
"""


def write_credits(folder: Path, entries: list[dict[str, Any]], catalogue: Catalogue) -> None:
    """Write CREDITS.md beside the views of an index.

    Models that the catalogue no longer has are listed by their key alone.
    """
    used = sorted({key for entry in entries for key in entry["models"]})
    known = catalogue.models()
    libraries: dict[str, list[str]] = defaultdict(list)
    for key in used:
        libraries[key.split("#")[0]].append(key)
    with _LIBRARIES.open(encoding="utf-8", newline="") as file:
        facts = {row["library"]: row for row in csv.DictReader(file)}
    lines = [_HEAD]
    for library, keys in sorted(libraries.items()):
        fact = facts.get(library)
        title = f"{fact['title']}, {fact['licence']}" if fact else library
        lines += [f"## {title}", ""]
        if fact:
            lines += [f"Licence: {fact['url']}; {fact['credit']}.", ""]
        lines += ["| no | model | creator | source |", "|---|---|---|---|"]
        lines += [
            _row(key, known.get(key), is_listed=fact is not None)
            for key in sorted(keys, key=_number)
        ]
        lines.append("")
    skies = Counter(entry["hdri"] for entry in entries)
    lines += ["## Skies, CC0 1.0 (https://creativecommons.org/publicdomain/zero/1.0/)", ""]
    lines += [
        "`bpy`: world lights that come with Blender (Greg Zaal, Poly Haven); `pmndrs`: npm "
        "package `@pmndrs/assets` 1.7.0 (Poly Haven).",
        "",
        "| name | views |",
        "|---|---|",
    ]
    lines += [f"| {name} | {count} |" for name, count in sorted(skies.items())]
    kinds = Counter(
        n.rsplit("_", 1)[0] for n in {n for entry in entries for n in entry["textures"]}
    )
    lines += ["", "## Textures", "", "Computed by `mtpano render` from random numbers, ours:", ""]
    lines += [f"- {kind}: {count}" for kind, count in sorted(kinds.items())]
    with writable(folder):
        write_whole_text(folder / "CREDITS.md", lines)


def _number(key: str) -> tuple[int, str]:
    number = key.split("#")[1]
    return (int(number) if number.isdigit() else 0, number)


def _row(key: str, model: Model | None, is_listed: bool) -> str:
    number = key.split("#")[1]
    if model is None:
        return f"| {number} | | | |"
    source = (
        _source(model)
        if model.licence.startswith("BlendSwap")
        else ("" if is_listed else model.licence)
    )
    return f"| {number} | {model.name} | {model.creator} | {source} |"


def _source(model: Model) -> str:
    """Title and address from the licence file that Blend Swap models carry."""
    if model.path is None:
        return ""
    for file in sorted(model.path.parent.glob("*icense*")) + sorted(
        model.path.parent.glob("*LICENSE*")
    ):
        text = file.read_text(encoding="latin1")
        address = re.search(r"https?://[^\s\"<>]*blendswap[^\s\"<>]+", text)
        title = re.search(r'downloading "(.*?)"', text, re.S)
        if address:
            name = f'"{" ".join(title[1].split())}", ' if title else ""
            return f"{name}{address[0].rstrip('.')}"
    return ""
