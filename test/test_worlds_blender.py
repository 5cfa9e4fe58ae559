"""One small world through the real Blender, where `./run worlds` has made its environment."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mtpano_model.commands import main
from mtpano_model.errors import MtpanoError
from mtpano_model.worlds.ingredients import find_ingredients


def _is_ready() -> bool:
    try:
        return find_ingredients(None, None).blender.is_file()
    except MtpanoError:
        return False


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not _is_ready(), reason="./run worlds has not made its environment"),
]


def test_a_rendered_world_passes_its_own_checks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "set"
    arguments = [
        "render",
        "--out",
        str(out),
        "--kinds",
        "meeting,corridor",
        "--rooms",
        "1",
        "--views",
        "2",
    ]
    assert main([*arguments, "--size", "128x256", "--samples", "2", "--processes", "1"]) == 0
    entries = [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]
    assert len(entries) == 4
    assert main(["render", "--verify", str(out)]) in (0, 1)
    report = capsys.readouterr().out
    for surface in ("floor", "wall", "ceiling", "normals against depth", "normals that face away"):
        assert f"ok   {surface}" in report, report
    assert "CC BY" in (out / "CREDITS.md").read_text()
    for entry in entries:
        rgb = cv2.imread(str(out / f"{entry['name']}.jpg"))
        assert rgb.shape == (128, 256, 3)
        assert 5 < rgb.mean() < 250
        assert np.std(rgb.astype(float)) > 3
