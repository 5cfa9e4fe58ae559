"""Data sets under evaluation: each in its own layout, classes and protocol."""

from __future__ import annotations

import json
from pathlib import Path

import evaluation_cases
import numpy as np
import pytest
from evaluation_cases import SIZE
from fake_model import write_fake_model
from public_trees import Room, write_matterport3d, write_stanford2d3d, write_structured3d

from mtpano_model.classes import IGNORE, load_class_set
from mtpano_model.commands import main
from mtpano_model.commands.evaluate import Args, run
from mtpano_model.data.sources import KINDS, SOURCES
from mtpano_model.errors import MtpanoError
from mtpano_model.evaluation.data_sets import open_comparison
from mtpano_model.evaluation.runner import evaluate
from mtpano_model.geometry.sphere import rays
from mtpano_model.metrics.evaluation import Maps
from mtpano_model.metrics.normals import angles_deg
from mtpano_model.metrics.protocols import PROTOCOLS, find_protocol

rooms, model = evaluation_cases.rooms, evaluation_cases.model


class Oracle:
    """Knows the ground truth, in the class set it is asked for."""

    def __init__(self, classes: str, label: str):
        self.about: dict[str, str] = {}
        self.classes = load_class_set(classes)
        self.label = self.classes.names.index(label)

    def __call__(self, rgb: np.ndarray, size: tuple[int, int]) -> Maps:
        return Maps(None, None, np.full(size, self.label, np.uint8))


@pytest.mark.parametrize(
    ("own", "label", "compared_in", "becomes"),
    [
        ("indoor18", "floor", "indoor18", "floor"),
        ("nyu40", "floor mat", "nyu40", "floor mat"),
        ("ade20k150", "rug", "indoor18", "floor"),
        ("stanford13", "board", "indoor18", "picture"),
        ("ade20k32", "sky", "indoor18", None),
    ],
)
def test_class_sets_meet(
    rooms: Path, own: str, label: str, compared_in: str, becomes: str | None
) -> None:
    oracle = Oracle(own, label)
    comparison = open_comparison("rooms", rooms, oracle.classes)
    assert comparison.classes.name == comparison.frames.class_set == compared_in
    translated = comparison.translate(np.array([oracle.label], np.uint8))[0]
    names = comparison.classes.names
    assert translated == (IGNORE if becomes is None else names.index(becomes))
    outcome = evaluate(oracle, comparison, find_protocol("rooms"), limit=1, show_progress=False)
    floor = (24 / 64) * 0.75
    expected = floor if becomes == "floor" else 0
    assert outcome.metrics["semseg"]["pixel_accuracy"] == pytest.approx(expected)


def test_a_foreign_class_set_without_mapping_is_refused(rooms: Path, tmp_path: Path) -> None:
    classes = [{"name": "thing", "color": "#102030", "open": False}]
    path = write_fake_model(tmp_path / "foreign.onnx", SIZE, classes)
    with pytest.raises(MtpanoError, match=r"class set 'custom' has no mapping to indoor18"):
        run(Args("rooms", rooms, str(path), tmp_path))


def test_public_data_sets_are_evaluated_in_their_own_layout(model: Path, tmp_path: Path) -> None:
    room = Room()
    write_structured3d(tmp_path / "structured3d", "03000", room)
    write_structured3d(tmp_path / "structured3d", "00000", room)
    write_matterport3d(tmp_path / "matterport3d", "2t7WUuJeko7", "a", room)
    write_stanford2d3d(tmp_path / "stanford2d3d", "area_5a", room)
    for name, split in (("structured3d", "val"), ("matterport3d", "test"), ("stanford2d3d", "val")):
        args = Args(name, tmp_path / name, str(model), tmp_path / "out", split=split, size="32x64")
        assert run(args) == 0
        metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
        assert metrics["about"]["frames"] == 1
        assert metrics["about"]["protocol"] == name
        assert metrics["about"]["class_set"] == "indoor18"
        # The fake model says normals = -ray; in this room that is 31 degrees off on average.
        seen = ~room.hole
        off = angles_deg(-rays(*room.hole.shape).astype(np.float64), room.normals)[seen]
        assert metrics["normals"]["mean_deg"] == pytest.approx(off.mean(), abs=0.6)


def test_a_store_tells_how_far_a_model_agrees_with_the_teachers(
    rooms: Path, model: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    teach = ["--teacher", f"pd-bridgenet:{model}", "--out", str(store), "--height", str(SIZE[0])]
    assert main(["label", "--data", "rooms", "--root", str(rooms), *teach]) == 0
    for split, count in ((None, 24), ("train", 22), ("val", 2)):
        args = Args("store", store, str(model), tmp_path / "out", split=split, pictures=1)
        assert run(args) == 0
        metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
        assert metrics["about"]["frames"] == count
        assert metrics["about"]["protocol"] == "store"
        # The store keeps pictures as JPEG, so the model does not see quite what its teacher saw.
        assert metrics["semseg"]["pixel_accuracy"] > 0.97
        assert metrics["depth"]["abs_rel"] < 0.02
    with pytest.raises(MtpanoError, match="no split 'test': use train or val"):
        run(Args("store", store, str(model), tmp_path / "out", split="test"))
    with pytest.raises(MtpanoError, match="no label store"):
        run(Args("store", rooms, str(model), tmp_path / "out"))


def test_every_source_has_a_protocol_of_its_name() -> None:
    assert set(KINDS) == set(SOURCES) <= set(PROTOCOLS)
