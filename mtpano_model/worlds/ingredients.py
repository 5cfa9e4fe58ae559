"""Finds the ingredients of worlds on disk: Blender, furniture, people and skies."""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass
from pathlib import Path

from mtpano_model.errors import MtpanoError
from mtpano_model.whole_files import write_whole
from mtpano_model.worlds.light import SKIES
from mtpano_model.worlds.split import Split

ENVIRONMENT = "MTPANO_WORLDS_VENV"
_DEBIAN = Path("/usr/share/sweethome3d/furniture")


@dataclass(frozen=True)
class Ingredients:
    """blender: the Python that has bpy; furniture: a folder of libraries; skies: name -> file.

    people: the folder of `anny_people`, if it was made.
    """

    blender: Path
    furniture: Path
    unpacked: Path
    textures: Path
    skies: dict[str, str]
    people: Path | None = None

    def skies_of(self, split: Split) -> list[str]:
        """Names of the available skies of one side of the split; Blender has some of its own."""
        return [name for name in SKIES[split] if name in self.skies or name.startswith("bpy:")]


def find_ingredients(blender: Path | None, furniture: Path | None) -> Ingredients:
    """The ingredients of `./run worlds`, or those that are given; MtpanoError if any is missing.

    The environment is MTPANO_WORLDS_VENV, or .venv-worlds in this checkout.
    """
    default = Path(__file__).parents[2] / ".venv-worlds"
    environment = Path(os.environ.get(ENVIRONMENT, default))
    store = environment / "worlds"
    if furniture is None:
        furniture = next((p for p in (store / "furniture", _DEBIAN) if p.is_dir()), None)
        if furniture is None:
            raise MtpanoError(
                "no furniture was found: install Debian's package sweethome3d-furniture, or name "
                "a folder of *.sh3f libraries in --furniture (`./run worlds` fetches them on "
                "Debian)"
            )
    return Ingredients(
        blender or environment / "bin" / "python",
        furniture,
        store / "unpacked",
        store / "textures",
        _unpack_skies(store / "skies"),
        store / "anny-people",
    )


def _unpack_skies(folder: Path) -> dict[str, str]:
    """Sky files by name: NAME.exr, made once from the .js files of npm's @pmndrs/assets."""
    for script in sorted(folder.glob("*.exr.js")):
        target = script.with_suffix("")
        if not target.exists():
            match = re.search(r"base64,([A-Za-z0-9+/=]+)", script.read_text(encoding="utf-8"))
            if match is None:
                raise MtpanoError(f"{script} holds no picture: fetch @pmndrs/assets 1.7.0 again")
            write_whole(target, base64.b64decode(match[1]))
    return {f"pmndrs:{path.stem}": str(path) for path in sorted(folder.glob("*.exr"))}
