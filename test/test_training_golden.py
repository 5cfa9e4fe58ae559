"""Nobody changes training unawares: 20 steps of every preset, compared with checked-in losses."""

from __future__ import annotations

import json

import pytest
from golden import FILE, STEPS, golden_losses

from mtpano_model.training.presets import PRESETS

KEPT = json.loads(FILE.read_text())


def test_every_preset_has_its_losses() -> None:
    assert set(KEPT) == set(PRESETS)
    assert all(len(losses) == STEPS for losses in KEPT.values())


@pytest.mark.parametrize("name", KEPT)
def test_losses_are_those_that_are_checked_in(name: str) -> None:
    """Meant to change? `python test/golden.py` writes them anew; say why in the commit."""
    assert golden_losses(name) == pytest.approx(KEPT[name], rel=1e-4)
