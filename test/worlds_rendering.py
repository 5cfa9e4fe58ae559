"""A few small views of generated places."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from test_worlds_plan import STOCK

from mtpano_model.worlds import renderer as renderer_module
from mtpano_model.worlds.credits import write_credits
from mtpano_model.worlds.ingredients import Ingredients
from mtpano_model.worlds.output import Output
from mtpano_model.worlds.session import Session
from mtpano_model.worlds.shoot import Settings

HERE = Path(__file__).parent
SETTINGS = Settings((64, 128), "train", 2, 8, 1, "test")
WORLDS = [("garage", 0), ("meeting", 0), ("courtyard", 0)]


def render(folder: Path, settings: Settings = SETTINGS, seed: int = 4, worlds: Any = WORLDS) -> int:
    """How many views the session stored."""
    nowhere = Path("nowhere")
    kitchen = Ingredients(Path(sys.executable), nowhere, nowhere, nowhere, {})
    output = Output(folder, seed, settings.as_json())
    stored = []
    try:
        Session(settings, seed, kitchen, STOCK, output, lambda: stored.append(1)).run(worlds, 2)
        write_credits(folder, list(output.views.values()), STOCK.catalogue)
    finally:
        output.close()
    return len(stored)


def entries(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]


@pytest.fixture(autouse=True)
def flat_blender(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for Blender; for every test of a file that has it."""
    monkeypatch.setattr(renderer_module, "_SCRIPT", HERE / "flat_blender.py")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worlds") / "set"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(renderer_module, "_SCRIPT", HERE / "flat_blender.py")
        assert render(folder) == 6
    return folder
