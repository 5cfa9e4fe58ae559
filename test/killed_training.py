"""A training run that is killed at a step."""

from __future__ import annotations

import pytest

from mtpano_model.training import loop
from mtpano_model.training.config import Stage

ALL_STAGES = (
    Stage(32, 64, 2, 2, learn="heads"),
    Stage(32, 64, 4, 2),
    Stage(64, 128, 3, 1),
)


class Killed(Exception):
    pass


def kill_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Die in the middle of a step, after its backward pass."""
    checked = loop.check_losses

    def dying(losses, batch, now, *rest):
        if now == step:
            raise Killed
        return checked(losses, batch, now, *rest)

    monkeypatch.setattr(loop, "check_losses", dying)
