"""Rooms on which the fake model's figures are known, and a run of `mtpano evaluate` on them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fake_model import write_fake_model

from mtpano_model.classes import load_class_set
from mtpano_model.commands.evaluate import Args, run
from mtpano_model.geometry.sphere import rays

SIZE = (64, 128)
ROOM_NUMBERS = range(24)
NYU_WALL, NYU_FLOOR, NYU_LAMP = 1, 2, 35
PALETTE = load_class_set("indoor18").palette


def write_known_rooms(root: Path) -> Path:
    """Frames that the fake model gets right but for one metre too much in every odd frame.

    It says depth = 1 + red / 64, normals = -ray, and the class whose colour is nearest.
    """
    root.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in ROOM_NUMBERS:
        name = f"{3 * number:06d}"
        labels = np.full(SIZE, NYU_WALL, np.uint8)
        labels[40:] = NYU_FLOOR
        labels[:, 32:64] = NYU_LAMP
        classes = load_class_set("nyu40").lookup_to_default()[labels - 1]
        rgb = np.array(PALETTE, np.uint8)[classes]
        depth = 1 + rgb[..., 0] / 64 - (number % 2)
        normals = np.round((-rays(*SIZE) + 1) * 127.5).astype(np.uint8)
        _write(root / f"{name}_depth.png", np.round(depth * 1000).astype(np.uint16))
        _write(root / f"{name}_normal.png", normals)
        _write(root / f"{name}_semantic.png", labels)
        # The reader wants .jpg; a PNG inside keeps the colours exact, and OpenCV looks inside.
        png = cv2.imencode(".png", rgb[..., ::-1])[1]
        (root / f"{name}.jpg").write_bytes(png.tobytes())
        lines.append(json.dumps({"name": name, "room": number}))
    (root / "index.jsonl").write_text("\n".join(lines) + "\n")
    return root


def _write(path: Path, array: np.ndarray) -> None:
    assert cv2.imwrite(str(path), array[..., ::-1] if array.ndim == 3 else array)


def evaluate_with(rooms: Path, model: Path | str, out: Path, **options: Any) -> dict[str, Any]:
    assert run(Args("rooms", rooms, str(model), out, **options)) == 0
    return json.loads((out / "metrics.json").read_text())


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_known_rooms(tmp_path_factory.mktemp("rooms"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx", SIZE, decoder_stride=1)
