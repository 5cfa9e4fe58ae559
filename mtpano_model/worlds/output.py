"""The folder of rendered views: whole files, an index whose lines count, and the recipe."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from mtpano_model.errors import MtpanoError, writing
from mtpano_model.pictures.files import write_picture
from mtpano_model.whole_files import write_whole_text

INDEX, RECIPE = "index.jsonl", "recipe.json"
PLANS = "worlds"


class Output:
    """A folder that one process writes to. A view counts once its line is in the index.

    MtpanoError if the folder is in use, cannot be written, or holds a seed with other settings.
    """

    def __init__(self, folder: Path, seed: int, settings: dict[str, Any]):
        self.folder = folder
        self._writing = Lock()
        with writing(folder):
            (folder / PLANS).mkdir(parents=True, exist_ok=True)
            self._lock = (folder / ".lock").open("w")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise MtpanoError(
                    f"another process is rendering into {folder}: wait, or give another --out"
                ) from error
        self._check_recipe(seed, settings)
        self.views = {entry["name"]: entry for entry in self._read_index()}

    def close(self) -> None:
        """Release the folder's lock."""
        self._lock.close()

    def is_finished(self, world: str) -> bool:
        """Whether a world has all the views that it will get."""
        return (self.folder / PLANS / f"{world}.json").exists()

    def finish(self, world: str, about: dict[str, Any]) -> None:
        """Store what is known of a world, after its last view."""
        self._write_text(self.folder / PLANS / f"{world}.json", json.dumps(about))

    def add(self, entry: dict[str, Any], pictures: dict[str, NDArray[Any]]) -> None:
        """Store a view: first its files (suffix -> picture), whole, then its line."""
        with self._writing, writable(self.folder):
            for suffix, picture in pictures.items():
                write_picture(self.folder / f"{entry['name']}{suffix}", picture)
            line = (json.dumps(entry) + "\n").encode()
            with (self.folder / INDEX).open("ab") as index:
                index.write(line)
            self.views[entry["name"]] = entry

    def _write_text(self, path: Path, text: str) -> None:
        with writable(self.folder):
            write_whole_text(path, [text])

    def _check_recipe(self, seed: int, settings: dict[str, Any]) -> None:
        path = self.folder / RECIPE
        recipes = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        before = recipes.get(str(seed))
        if before is not None and before != settings:
            changed = ", ".join(
                f"{k} {before.get(k)} (now {settings.get(k)})"
                for k in sorted(before.keys() | settings.keys())
                if before.get(k) != settings.get(k)
            )
            raise MtpanoError(
                f"{self.folder} has views of seed {seed} rendered with {changed}: "
                "give another --seed or --out, or the same settings"
            )
        self._write_text(path, json.dumps({**recipes, str(seed): settings}, indent=1))

    def _read_index(self) -> list[dict[str, Any]]:
        """Its whole lines; one that was cut off by a kill is taken away."""
        path = self.folder / INDEX
        if not path.exists():
            return []
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with writable(self.folder):
                os.truncate(path, whole)
        return [json.loads(line) for line in data[:whole].decode().splitlines()]


def read_entries(folder: Path) -> list[dict[str, Any]]:
    """The index of a rendered folder; MtpanoError if there is none."""
    path = folder / INDEX
    if not path.is_file():
        raise MtpanoError(f"{path} does not exist: give a folder that mtpano render wrote")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def writable(folder: Path) -> AbstractContextManager[None]:
    """Turn an OSError within the context into a MtpanoError."""
    return writing(
        folder,
        "free some disk space or change its permissions, and start again; the views in its "
        "index are complete",
    )
