"""`mtpano evaluate` end to end, on tiny rooms and models whose right answers are known."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from fake_model import write_fake_model
from public_trees import Room, write_matterport3d, write_stanford2d3d, write_structured3d

from mtpano_model.classes import IGNORE, load_class_set
from mtpano_model.commands import main
from mtpano_model.commands.evaluate import Args, run
from mtpano_model.data.rooms import is_validation_room
from mtpano_model.errors import MtpanoError
from mtpano_model.evaluation.card import update_card
from mtpano_model.evaluation.data_sets import SOURCES, open_comparison
from mtpano_model.evaluation.metrics import Maps
from mtpano_model.evaluation.normals_metrics import angles_deg
from mtpano_model.evaluation.predictor import NetworkPredictor, OnnxPredictor, open_predictor
from mtpano_model.evaluation.protocols import PROTOCOLS, find_protocol
from mtpano_model.evaluation.report_pictures import confusion_picture
from mtpano_model.evaluation.runner import evaluate, spread
from mtpano_model.geometry.sphere import rays
from mtpano_model.inference.preprocess import preprocess
from mtpano_model.network import PDBridgeNet, preset
from mtpano_model.network.pretrained import save_pretrained

SIZE = (64, 128)
ROOM_NUMBERS = range(24)
NYU_WALL, NYU_FLOOR, NYU_LAMP = 1, 2, 35
PALETTE = load_class_set("indoor18").palette


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames that the fake model gets right but for one metre too much in every odd frame.

    It says depth = 1 + red / 64, normals = -ray, and the class whose colour is nearest.
    """
    root = tmp_path_factory.mktemp("rooms")
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
        write(root / f"{name}_depth.png", np.round(depth * 1000).astype(np.uint16))
        write(root / f"{name}_normal.png", normals)
        write(root / f"{name}_semantic.png", labels)
        # The reader wants .jpg; a PNG inside keeps the colours exact, and OpenCV looks inside.
        png = cv2.imencode(".png", rgb[..., ::-1])[1]
        (root / f"{name}.jpg").write_bytes(png.tobytes())
        lines.append(json.dumps({"name": name, "room": number}))
    (root / "index.jsonl").write_text("\n".join(lines) + "\n")
    return root


def write(path: Path, array: np.ndarray) -> None:
    assert cv2.imwrite(str(path), array[..., ::-1] if array.ndim == 3 else array)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx", SIZE, decoder_stride=1)


def evaluate_with(rooms: Path, model: Path | str, out: Path, **options: Any) -> dict[str, Any]:
    assert run(Args("rooms", rooms, str(model), out, **options)) == 0
    return json.loads((out / "metrics.json").read_text())


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
    with pytest.raises(MtpanoError, match=r"size 'big' is not understood"):
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


def test_a_checkpoint_predicts_what_its_network_says() -> None:
    """Full-size maps of the network and the robot's tail agree inside the picture."""
    torch.manual_seed(0)
    net = PDBridgeNet(preset("nano", image_size=SIZE)).eval()
    rgb = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    maps = NetworkPredictor(net)(rgb, SIZE)
    with torch.inference_mode():
        final = net(torch.from_numpy(preprocess(rgb, SIZE)).permute(0, 3, 1, 2).float()).final
    assert maps.depth is not None
    assert maps.normals is not None
    assert maps.labels is not None
    inner = slice(4, -4)
    depth = final["depth"][0, 0].numpy()
    np.testing.assert_allclose(maps.depth[inner], depth[inner], rtol=1e-4)
    angles = angles_deg(maps.normals, final["normals"][0].permute(1, 2, 0).numpy())
    assert angles[inner].mean() < 5  # one normalises before it resizes, the other after
    assert (maps.labels == final["semseg"][0].argmax(0).numpy()).mean() > 0.9


@pytest.mark.slow
def test_a_checkpoint_and_its_export_have_the_same_figures(rooms: Path, tmp_path: Path) -> None:
    """The tail of the torch predictor is that of the robot's model."""
    onnx_graph = pytest.importorskip("mtpano_model.export.onnx_graph")
    import onnx

    net = PDBridgeNet(preset("nano", image_size=SIZE)).eval()
    save_pretrained(net, tmp_path / "net")
    onnx.save(onnx_graph.export_cpu_tail(net), tmp_path / "net.onnx")
    few = {"limit": 2, "pictures": 0, "roll_frames": 1}
    torch_run = evaluate_with(rooms, tmp_path / "net.safetensors", tmp_path / "a", **few)
    onnx_run = evaluate_with(rooms, tmp_path / "net.onnx", tmp_path / "b", **few)
    assert torch_run["about"]["engine"].startswith("torch")
    for task in ("depth", "normals"):
        assert torch_run[task] == pytest.approx(onnx_run[task], rel=2e-3, abs=1e-4)
    accuracy = [r["semseg"]["pixel_accuracy"] for r in (torch_run, onnx_run)]
    assert accuracy[0] == pytest.approx(accuracy[1], abs=2e-3)
    assert torch_run["seam"]["roll"].keys() == {"depth_rel", "normals_deg", "labels"}


def test_models_open_by_what_they_are(model: Path, tmp_path: Path) -> None:
    net = PDBridgeNet(preset("nano", image_size=SIZE, tasks=("depth",), auxiliary=False))
    save_pretrained(net, tmp_path / "net")
    assert isinstance(open_predictor(str(model)), OnnxPredictor)
    predictor = open_predictor(str(tmp_path / "net.safetensors"), size=(32, 64))
    assert isinstance(predictor, NetworkPredictor)
    maps = predictor(np.zeros((*SIZE, 3), np.uint8), SIZE)
    assert maps.depth is not None
    assert maps.depth.shape == SIZE
    assert maps.normals is None
    assert maps.labels is None
    with pytest.raises(MtpanoError, match=r"holds no checkpoint"):
        open_predictor(str(model.parent))
    with pytest.raises(MtpanoError, match=r"picture size 60x120 does not fit"):
        open_predictor(str(tmp_path / "net.safetensors"), size=(60, 120))


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


def test_wrong_places_and_splits_are_one_sentence(rooms: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(MtpanoError, match=r"rooms has no split 'test': use train or val"):
        run(Args("rooms", rooms, str(model), tmp_path, split="test"))
    with pytest.raises(MtpanoError, match=r"is not a folder"):
        run(Args("rooms", tmp_path / "nowhere", str(model), tmp_path))
    with pytest.raises(MtpanoError, match=r"holds no complete frame"):
        run(Args("structured3d", tmp_path, str(model), tmp_path))
    with pytest.raises(MtpanoError, match=r"limit 0 is too small"):
        run(Args("rooms", rooms, str(model), tmp_path, limit=0))


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
    assert set(SOURCES) <= set(PROTOCOLS)


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


def test_confusion_picture_is_dark_on_a_good_diagonal() -> None:
    classes = load_class_set("indoor18")
    confusion = np.zeros((18, 19))
    confusion[0, 0], confusion[1, 1], confusion[1, 0] = 100, 50, 50
    picture = confusion_picture(confusion, classes)
    side = 44
    origin = picture.shape[0] - 10 - 2 * side
    cells = {
        (i, j): picture[origin + i * side + 3, origin + j * side + 3].astype(int)
        for i in range(2)
        for j in range(2)
    }
    assert cells[0, 0][1] > cells[0, 0][0]  # green: right
    assert cells[1, 0][0] > cells[1, 0][1]  # red: wrong
    assert cells[0, 0].sum() < cells[1, 1].sum() < cells[0, 1].sum()
