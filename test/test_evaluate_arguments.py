"""What `mtpano evaluate` cannot do is said before minutes of measuring, in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtpano_model.commands import evaluate
from mtpano_model.errors import MtpanoError


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"limit": 0}, "--limit 0 is too small"),
        ({"pictures": -1}, "--pictures -1 is too small: expected 0 or more"),
        ({"roll_frames": -1}, "--roll-frames -1 is too small"),
        ({"card": Path("nowhere.md")}, "model card nowhere.md does not exist"),
        ({"card": Path(__file__)}, "not exactly one place.*metrics:rooms-all"),
        ({"out": Path(__file__) / "out"}, "cannot be written"),
    ],
)
def test_mistakes_are_told_before_a_model_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr(evaluate, "open_predictor", lambda *_, **__: pytest.fail("it measures"))
    with pytest.raises(MtpanoError, match=words):
        evaluate.run(evaluate.Args("rooms", tmp_path, **{"out": tmp_path, **options}))
