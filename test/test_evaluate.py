"""`mtpano evaluate` end to end, on tiny rooms and a model whose right answers are known."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import cv2
import evaluation_cases
import numpy as np
import pytest
from evaluation_cases import PALETTE, ROOM_NUMBERS, evaluate_with

from mtpano_model.classes import load_class_set
from mtpano_model.commands import main
from mtpano_model.commands.evaluate import Args, run
from mtpano_model.data.rooms import is_validation_room
from mtpano_model.data.sample import spread
from mtpano_model.errors import MtpanoError
from mtpano_model.evaluation.card import update_card

rooms, model = evaluation_cases.rooms, evaluation_cases.model


def test_the_command_writes_the_figures_that_are_known(
    rooms: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "--data", "rooms", "--root", str(rooms), "--model", str(model)]
    assert main([*arguments, "--out", str(tmp_path), "--pictures", "2"]) == 0
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    # Half of the frames are right, half are a metre too deep.
    reds = [PALETTE[i][0] for i in load_class_set("nyu40").lookup_to_default()[[0, 1, 34]]]
    share = np.array([40 / 64 * 0.75, 24 / 64 * 0.75, 0.25])
    depth = np.array(reds) / 64
    assert metrics["depth"]["abs_rel"] == pytest.approx((share / depth).sum() / 2, rel=1e-3)
    assert metrics["depth"]["rmse"] == pytest.approx(np.sqrt(0.5), rel=1e-3)
    assert metrics["depth"]["delta1"] == pytest.approx(
        0.5 + (share * ((1 + depth) / depth < 1.25)).sum() / 2, abs=1e-6
    )
    assert metrics["normals"]["mean_deg"] < 0.3  # rounding to 8 bits
    assert metrics["normals"]["within_11_25"] == pytest.approx(1)
    assert metrics["semseg"]["miou"] == 1
    assert metrics["per_image"]["depth"]["rmse"] == pytest.approx(0.5, rel=1e-3)
    assert metrics["cos_weighted"]["semseg"]["pixel_accuracy"] == pytest.approx(1)
    assert metrics["classes"]["share"]["lamp"] == pytest.approx(0.25)
    assert metrics["classes"]["iou"]["sofa"] is None
    assert metrics["about"]["frames"] == 24
    assert "AbsRel" in capsys.readouterr().out


def test_the_report_names_best_and_worst_frames_and_shows_them(
    rooms: Path, model: Path, tmp_path: Path
) -> None:
    evaluate_with(rooms, model, tmp_path, pictures=2)
    page = (tmp_path / "report.html").read_text()
    with (tmp_path / "frames.csv").open() as file:
        rows = {row["name"]: float(row["depth.abs_rel"]) for row in csv.DictReader(file)}
    assert len(rows) == 24
    best, rest = page.split("Best depth")[1].split("Worst depth")
    for part, expected in ((best, min(rows.values())), (rest, max(rows.values()))):
        shown = re.findall(r"(\d{6}): depth", part)
        assert len(shown) == 2
        assert {rows[name] for name in shown} == {expected}
    pictures = sorted((tmp_path / "pictures").iterdir())
    assert 4 <= len(pictures) <= 12
    for picture in pictures:
        assert f"pictures/{picture.name}" in page
        assert cv2.imread(str(picture)).shape[1] > 1000
    assert cv2.imread(str(tmp_path / "confusion.png")) is not None


def test_a_split_and_a_limit_choose_frames(rooms: Path, model: Path, tmp_path: Path) -> None:
    held_out = sum(is_validation_room(number) for number in ROOM_NUMBERS)
    assert 0 < held_out < 24
    few = {"pictures": 0, "roll_frames": 0}
    count = {
        split: evaluate_with(rooms, model, tmp_path, split=split, **few)["about"]["frames"]
        for split in ("train", "val")
    }
    assert count == {"train": 24 - held_out, "val": held_out}
    assert evaluate_with(rooms, model, tmp_path, limit=5, **few)["about"]["frames"] == 5
    assert spread(24, 5) == [0, 6, 12, 17, 23]
    assert spread(3, 5) == [0, 1, 2]


def test_median_alignment_is_beside_and_on_top_when_asked(
    rooms: Path, model: Path, tmp_path: Path
) -> None:
    few = {"pictures": 0, "roll_frames": 0, "limit": 6}
    plain = evaluate_with(rooms, model, tmp_path / "a", **few)
    aligned = evaluate_with(rooms, model, tmp_path / "b", align="median", **few)
    assert aligned["depth"] == pytest.approx(plain["median_aligned"]["depth"])
    assert aligned["depth"]["abs_rel"] < plain["depth"]["abs_rel"]


def test_a_size_reduces_the_ground_truth(rooms: Path, model: Path, tmp_path: Path) -> None:
    metrics = evaluate_with(rooms, model, tmp_path, size="32x64", limit=2, pictures=0)
    assert metrics["semseg"]["pixel_accuracy"] > 0.9  # edges blur as the picture shrinks
    with pytest.raises(MtpanoError, match=r"size 'big' is not HEIGHTxWIDTH"):
        run(Args("rooms", rooms, str(model), tmp_path, size="big"))


def test_damaged_frames_are_skipped_and_named(rooms: Path, model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "rooms"
    copy.mkdir()
    for file in rooms.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "000003_depth.png").write_bytes(b"")
    metrics = evaluate_with(copy, model, tmp_path / "out", pictures=0, roll_frames=0)
    assert metrics["about"]["frames"] == 23
    assert len(metrics["about"]["skipped"]) == 1
    assert "000003_depth.png" in metrics["about"]["skipped"][0]
    for file in copy.glob("*_depth.png"):
        file.write_bytes(b"")
    with pytest.raises(MtpanoError, match=r"none of 24 frames could be read"):
        run(Args("rooms", copy, str(model), tmp_path / "out"))


def test_wrong_places_and_splits_are_one_sentence(rooms: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(MtpanoError, match=r"rooms has no split 'test': use train or val"):
        run(Args("rooms", rooms, str(model), tmp_path, split="test"))
    with pytest.raises(MtpanoError, match=r"is not a folder"):
        run(Args("rooms", tmp_path / "nowhere", str(model), tmp_path))
    with pytest.raises(MtpanoError, match=r"holds no complete frame"):
        run(Args("structured3d", tmp_path, str(model), tmp_path))
    with pytest.raises(MtpanoError, match=r"limit 0 is too small"):
        run(Args("rooms", rooms, str(model), tmp_path, limit=0))


def test_the_model_card_is_renewed_between_its_markers(
    rooms: Path, model: Path, tmp_path: Path
) -> None:
    card = tmp_path / "README.md"
    card.write_text("# Card\n<!-- metrics:rooms-all -->\nold\n<!-- /metrics:rooms-all -->\nend\n")
    for _ in range(2):
        evaluate_with(rooms, model, tmp_path / "out", limit=2, pictures=0, card=card)
        text = card.read_text()
        assert text.startswith("# Card\n<!-- metrics:rooms-all -->\n2 frames of rooms")
        assert text.endswith("<!-- /metrics:rooms-all -->\nend\n")
        assert "| Depth AbsRel | " in text
        assert "old" not in text
    with pytest.raises(MtpanoError, match=r"not exactly one place.*metrics:other"):
        update_card(card, "other", {})
