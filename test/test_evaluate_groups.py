"""`mtpano evaluate` measures kinds of places and widths of rooms apart, and confidence."""

from __future__ import annotations

import json
from pathlib import Path

import box_room
import cv2
import numpy as np
import pytest
import torch

from mtpano_model.classes import load_class_set
from mtpano_model.evaluation.card import metric_table
from mtpano_model.evaluation.data_sets import open_comparison
from mtpano_model.evaluation.groups import room_width
from mtpano_model.evaluation.report import write_report
from mtpano_model.evaluation.runner import evaluate
from mtpano_model.geometry.sphere import pitch_matrix, roll_matrix
from mtpano_model.metrics.evaluation import Maps
from mtpano_model.metrics.protocols import find_protocol

CLASSES = load_class_set("indoor18")


class Measured:
    """Says what the box room is, its walls bowed by 3 %, with less confidence where that is most.

    What is pure red in the picture is taken for a person.
    """

    classes = CLASSES
    about = {"engine": "none", "revision": "none"}  # noqa: RUF012

    def __call__(self, rgb: np.ndarray, size: tuple[int, int]) -> Maps:
        truth = box_room.sample(size[0])
        swell = np.cos(np.arange(size[1]) / 5) * np.ones(size)
        depth = truth.depth[0].numpy() * (1 + 0.03 * swell)
        labels = truth.semseg.numpy().copy()
        labels[(rgb == (255, 0, 0)).all(-1)] = CLASSES.names.index("person")
        normals = truth.normals.permute(1, 2, 0).numpy()
        return Maps(
            depth.astype(np.float32), normals, labels, confidence=(1 - np.abs(swell)) / 2 + 0.2
        )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four views, two kinds; a person in the third, found to three quarters."""
    root = box_room.write_rooms(tmp_path_factory.mktemp("rooms"), count=4, height=128)
    kinds = ("hall", "hall", "home", "home")
    lines = [json.dumps({"name": f"{n:06d}", "room": n, "kind": k}) for n, k in enumerate(kinds)]
    (root / "index.jsonl").write_text("\n".join(lines) + "\n")
    labels = cv2.imread(str(root / "000002_semantic.png"), cv2.IMREAD_UNCHANGED)
    labels[40:80, 40:60] = 31
    cv2.imwrite(str(root / "000002_semantic.png"), labels)
    photo = cv2.imread(str(root / "000002.jpg"))
    photo[40:80, 40:55] = (0, 0, 255)
    _, png = cv2.imencode(".png", photo)
    (root / "000002.jpg").write_bytes(png.tobytes())
    return root


def test_kinds_widths_walls_persons_and_confidence_are_in_report_and_card(
    root: Path, tmp_path: Path
) -> None:
    comparison = open_comparison("rooms", root, CLASSES)
    outcome = evaluate(Measured(), comparison, find_protocol("rooms"), show_progress=False)
    metrics = outcome.metrics
    kinds, widths = metrics["groups"]["kind"], metrics["groups"]["width of the room"]
    assert {name: found["frames"] for name, found in kinds.items()} == {"hall": 2, "home": 2}
    assert {name: found["frames"] for name, found in widths.items()} == {"3 to 6 m": 4}
    assert metrics["classes"]["iou"]["person"] == pytest.approx(0.75)
    assert kinds["home"]["classes"]["iou"]["person"] == pytest.approx(0.75)
    assert kinds["hall"]["classes"]["iou"]["person"] is None
    assert 0.01 < metrics["surface"]["wall_bow"] < 0.03
    assert metrics["per_image"]["surface"]["wall_bow"] == pytest.approx(
        metrics["surface"]["wall_bow"], rel=0.05
    )
    assert metrics["surface"]["hanging_truth"] == 0
    assert metrics["confidence"]["ause_abs_rel"] < 0.02
    about = {"frames": 4, "data": "rooms", "split": "all", "protocol": "rooms", "engine": "none"}
    write_report(tmp_path, outcome, comparison, Measured(), about, pictures=1)
    page = (tmp_path / "report.html").read_text()
    for words in ("Wall bow over distance", "By kind", "sparsification.png", "person IoU"):
        assert words in page
    assert cv2.imread(str(tmp_path / "sparsification.png")) is not None
    stored = json.loads((tmp_path / "metrics.json").read_text())
    card = metric_table(stored)
    for row in ("| Wall bow over distance | ", "| Hanging points | ", "| hall | 2 | ", "person 75"):
        assert row in card
    assert "surface.wall_bow" in (tmp_path / "frames.csv").read_text()


@pytest.mark.parametrize("corner", [False, True])
@pytest.mark.parametrize(("pitch", "roll"), [(0, 0), (15, 0), (0, -15), (-10, 12)])
@pytest.mark.parametrize("scale", [0.2, 1.0])
def test_a_room_is_as_wide_as_its_nearest_opposite_walls(
    monkeypatch: pytest.MonkeyPatch, scale: float, pitch: float, roll: float, corner: bool
) -> None:
    """5 x 6.5 m around a camera off the middle or in a corner, held at a slant."""
    if corner:
        monkeypatch.setattr(box_room, "WALLS", ((-0.4, 4.6), (-1.5, 0.9), (-6.0, 0.5)))
    rotation = pitch_matrix(np.radians(pitch)) @ roll_matrix(np.radians(roll))
    turned = torch.from_numpy(rotation).float()
    rays = torch.einsum("ji,jhw->ihw", turned, box_room.panorama_rays(128))
    depth, normal, wall = box_room.cast(rays)
    normals = torch.einsum("ij,jhw->hwi", turned, normal.float()).numpy()
    down = rotation @ np.array([0.0, 1.0, 0.0])
    walls = np.isin(wall.numpy(), (0, 1, 4, 5))
    metres = scale * depth.numpy()
    assert room_width(metres, normals, walls, down) == pytest.approx(5 * scale, rel=0.01)
    walls[:, 20:50] = False  # a doorway: nothing is known that way
    assert room_width(metres, normals, walls, down) == pytest.approx(5 * scale, rel=0.01)


def test_without_walls_around_a_place_has_no_width() -> None:
    depth, normal, wall = (a.numpy() for a in box_room.cast(box_room.panorama_rays(64)))
    normals, down = np.moveaxis(normal, 0, -1), np.array([0.0, 1.0, 0.0])
    for walls in (wall == 5, (wall == 5) | (wall == 1), wall == 9):
        assert room_width(depth, normals, walls, down) is None


def test_damaged_lines_of_an_index_leave_a_frame_level_and_without_a_kind(
    root: Path, tmp_path: Path
) -> None:
    for file in root.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    odd = {"kind": 7, "gravity_optical": "down", "world_from_camera": [[1], [2, 3]]}
    lines = [json.dumps({"name": f"{n:06d}", "room": n, **odd}) for n in range(4)]
    (tmp_path / "index.jsonl").write_text("\n".join(lines))
    comparison = open_comparison("rooms", tmp_path, CLASSES)
    outcome = evaluate(Measured(), comparison, find_protocol("rooms"), show_progress=False)
    assert list(outcome.metrics["groups"]) == ["width of the room"]
    assert list(outcome.metrics["groups"]["width of the room"]) == ["3 to 6 m"]
