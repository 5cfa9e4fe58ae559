"""The command `predict` on a folder."""

from __future__ import annotations

from pathlib import Path

from odd_pictures import encoded

from mtpano_model.commands import main


def save(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(encoded("png"))
    return folder


def predict(model: Path, place: Path, out: Path, *more: str) -> int:
    return main(["predict", str(place), "--out", str(out), "--model", str(model), *more])
