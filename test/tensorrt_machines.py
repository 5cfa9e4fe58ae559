"""Machines with the oldest and the newest TensorRT that is known, and a model for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_model import write_fake_model
from stand_ins.install import install
from stand_ins.machine import Machine

VERSIONS = ["10.3.0", "11.4.1"]
SIZE = (32, 64)


@pytest.fixture(params=VERSIONS)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return install(monkeypatch, Machine(tensorrt=request.param))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_fake_model(tmp_path / "rooms.onnx", SIZE)
