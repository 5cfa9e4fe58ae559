"""The rooms reader: on a tiny tree where every value is known, and on the real set."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mtpano_model.classes import IGNORE, load_class_set
from mtpano_model.data.rooms import RoomsDataset, is_validation_room
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry import sphere

SIZE = (16, 32)


def write_room(root: Path, name: str, room: int) -> None:
    """One frame: depth = 1 m + 1 mm a column, walls left, chairs right, one invalid pixel."""
    height, width = SIZE
    depth = np.broadcast_to(1000 + np.arange(width), SIZE).astype(np.uint16).copy()
    normal = np.full((height, width, 3), (128, 128, 0), np.uint8)  # RGB, about (0, 0, -1)
    depth[3, 4], normal[3, 4] = 0, 128
    semantic = np.where(np.arange(width) < width // 2, 1, 5)
    semantic = np.broadcast_to(semantic, SIZE).astype(np.uint8).copy()
    semantic[0, 0] = 0
    cv2.imwrite(str(root / f"{name}_depth.png"), depth)
    cv2.imwrite(str(root / f"{name}_normal.png"), normal[..., ::-1])
    cv2.imwrite(str(root / f"{name}_semantic.png"), semantic)
    cv2.imwrite(str(root / f"{name}.jpg"), np.full((height, width, 3), (0, 0, 200), np.uint8))
    with (root / "index.jsonl").open("a") as index:
        index.write(json.dumps({"name": name, "room": room}) + "\n")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for room in range(30):
        for view in range(2):
            write_room(tmp_path, f"{3 * room + view:06d}", room)
    return tmp_path


def test_values_frames_and_validity(tree: Path) -> None:
    sample = RoomsDataset(tree)[0]
    assert sample.name == "000000"
    assert sample.size == SIZE
    assert sample.image[0].float().mean() > 180  # red
    assert sample.image[2].float().mean() < 20
    assert sample.depth[0, 8, 10].item() == pytest.approx(1.010)
    assert not sample.depth_valid[0, 3, 4]
    assert not sample.normals_valid[0, 3, 4]
    assert sample.depth_valid.sum() == sample.normals_valid.sum() == SIZE[0] * SIZE[1] - 1
    torch.testing.assert_close(
        sample.normals[:, 8, 10], torch.tensor([0.004, 0.004, -1]), atol=2e-3, rtol=0
    )
    names = load_class_set("indoor18").names
    assert names[sample.semseg[8, 3]] == "wall"
    assert names[sample.semseg[8, 30]] == "chair"
    assert sample.semseg[0, 0] == IGNORE
    nyu = RoomsDataset(tree, class_set="nyu40")[0].semseg
    assert nyu[8, 3] == 0
    assert nyu[8, 30] == 4
    assert nyu[0, 0] == IGNORE


@pytest.mark.parametrize("size", [None, (8, 16)])
def test_a_world_s_far_depth_is_read_and_what_its_mask_says_has_no_truth(
    tree: Path, size: tuple[int, int] | None
) -> None:
    """The mask is believed where the other files say something: rows 4 on from column 16."""
    step = 1 if size is None else 2
    far = np.zeros(SIZE, np.uint16)
    far[8:12] = 34_465  # 100 m
    mask = np.zeros(SIZE, np.uint8)
    for why, rows in enumerate((slice(0, 4), slice(4, 8), slice(8, 12), slice(12, 16))):
        mask[rows, 16:] = why
    cv2.imwrite(str(tree / "000000_far.png"), far)
    cv2.imwrite(str(tree / "000000_mask.png"), mask)
    sample = RoomsDataset(tree, size=size, cache=True)[0]
    seen, plain = mask[::step, ::step] == 0, RoomsDataset(tree, size=size)[3]
    assert sample.depth[0, 8 // step, 2].item() == pytest.approx(100.0)
    assert sample.depth[0, 0, 10 // step].item() == plain.depth[0, 0, 10 // step].item()
    for valid in (sample.depth_valid, sample.normals_valid):
        assert not valid[0][~seen].any()
        assert valid[0][seen].sum() >= seen.sum() - 1  # one pixel of the tree has no truth
    assert (sample.depth[0][~seen] == 0).all()
    chair = load_class_set("indoor18").names.index("chair")
    columns = slice(16 // step, None)
    assert (sample.semseg[4 // step : 8 // step, columns] == chair).all()  # seen through: as stored
    assert (sample.semseg[8 // step :, columns] == IGNORE).all()
    assert (sample.semseg[8 // step :, : 16 // step] != IGNORE).all()
    assert RoomsDataset(tree, size=size)[1].depth.max() < 2  # the next view has neither file


def test_a_world_s_files_of_another_size_are_named(tree: Path) -> None:
    cv2.imwrite(str(tree / "000000_mask.png"), np.zeros((8, 16), np.uint8))
    with pytest.raises(MtpanoError, match=r"000000 has pictures of different sizes.*one size"):
        RoomsDataset(tree)[0]
    (tree / "000001_far.png").write_bytes(b"")
    with pytest.raises(MtpanoError, match=r"cannot read .*000001_far\.png"):
        RoomsDataset(tree)[1]


def test_splits_are_by_room_and_cover_everything(tree: Path) -> None:
    names = {split: RoomsDataset(tree, split).names for split in ("train", "val", "all")}
    assert sorted(names["train"] + names["val"]) == names["all"]
    rooms = {split: {int(name) // 3 for name in names[split]} for split in ("train", "val")}
    assert not rooms["train"] & rooms["val"]
    assert rooms["val"] == {room for room in range(30) if is_validation_room(room)}


def test_one_room_in_ten_is_held_out() -> None:
    share = np.mean([is_validation_room(room) for room in range(5000)])
    assert 0.09 < share < 0.11


def test_a_share_of_the_rooms_keeps_whole_rooms_and_grows_by_adding(tree: Path) -> None:
    shares = [set(RoomsDataset(tree, "train", share=share).names) for share in (0.25, 0.5, 1)]
    assert shares[0] < shares[1] < shares[2] == set(RoomsDataset(tree, "train").names)
    for names in shares:
        assert {name for name in names if int(name) % 3} == {
            f"{int(name) + 1:06d}" for name in names if int(name) % 3 == 0
        }
    with pytest.raises(MtpanoError, match=r"'train' in the share 0.0001 of its rooms"):
        RoomsDataset(tree, "train", share=0.0001)


def test_reducing_invents_no_value(tree: Path) -> None:
    small = RoomsDataset(tree, size=(8, 16))[0]
    assert small.size == (8, 16)
    full = RoomsDataset(tree)[0]
    assert set(small.depth.unique().tolist()) <= set(full.depth.unique().tolist())
    assert set(small.semseg.unique().tolist()) <= set(full.semseg.unique().tolist())


def test_labels_are_read_under_the_centre_of_what_a_pixel_averages(tree: Path) -> None:
    """Columns 4i to 4i+3 become column i, whose centre lies before column 4i+2."""
    depth = np.tile(np.arange(1, SIZE[1] + 1, dtype=np.uint16) * 1000, (SIZE[0], 1))
    cv2.imwrite(str(tree / "000000_depth.png"), depth)
    small = RoomsDataset(tree, size=(SIZE[0] // 4, SIZE[1] // 4))[0]
    assert small.depth[0, 0].tolist() == [4 * i + 3 for i in range(SIZE[1] // 4)]


def test_enlarging_interpolates_the_picture(tree: Path) -> None:
    image = np.zeros((*SIZE, 3), np.uint8)
    image[:, SIZE[1] // 2 :] = 200
    png = cv2.imencode(".png", image)[1]  # exact colours; the reader looks inside
    (tree / "000000.jpg").write_bytes(png.tobytes())
    large = RoomsDataset(tree, size=(4 * SIZE[0], 4 * SIZE[1]))[0].image
    assert len(large.unique()) > 2


def test_the_cache_returns_the_same_and_is_not_touched_by_its_users(tree: Path) -> None:
    cached, plain = RoomsDataset(tree, cache=True), RoomsDataset(tree)
    cached.preload()
    for _ in range(2):
        sample = cached[3]
        assert torch.equal(sample.image, plain[3].image)
        assert torch.equal(sample.semseg, plain[3].semseg)
        sample.image.zero_()
        sample.semseg.zero_()


def test_mistakes_are_named(tree: Path) -> None:
    with pytest.raises(MtpanoError, match="does not exist"):
        RoomsDataset(tree / "nowhere")
    with pytest.raises(MtpanoError, match="stanford13"):
        RoomsDataset(tree, class_set="stanford13")
    (tree / "000000.jpg").unlink()
    with pytest.raises(MtpanoError, match=r"cannot read .*000000\.jpg"):
        RoomsDataset(tree)[0]
    half = (tree / "000001_depth.png").read_bytes()[:40]
    (tree / "000001_depth.png").write_bytes(half)
    with pytest.raises(MtpanoError, match=r"cannot read .*000001_depth.png as a picture"):
        RoomsDataset(tree)[1]
    # OpenCV would fill the missing part with grey and say nothing.
    photo = tree / "000003.jpg"
    photo.write_bytes(photo.read_bytes()[:-100])
    with pytest.raises(MtpanoError, match=r"cannot read .*000003.jpg as a picture"):
        RoomsDataset(tree)[2]
    with (tree / "index.jsonl").open("a") as index:
        index.write('{"name": "0000')
    with pytest.raises(MtpanoError, match="line 61"):
        RoomsDataset(tree)


def test_classes_outside_the_table_count_as_unlabelled(
    tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tree / "000000_semantic.png"
    cv2.imwrite(str(path), np.full(SIZE, 41, np.uint8))
    assert (RoomsDataset(tree)[0].semseg == IGNORE).all()
    assert str(path) in caplog.text
    assert "outside 0..39" in caplog.text


def test_a_picture_that_is_no_panorama_is_named(tmp_path: Path) -> None:
    write_room(tmp_path, "000000", 0)
    for path in tmp_path.glob("000000*.*g"):
        square = cv2.resize(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), (16, 16))
        cv2.imwrite(str(path), square)
    with pytest.raises(MtpanoError, match="000000 is 16x16 pixels: expected an equirect"):
        RoomsDataset(tmp_path)[0]


def test_a_real_room_s_normals_face_the_camera_and_fit_its_depth(shared: Path) -> None:
    root = shared / "data" / "rooms"
    sample = RoomsDataset(root, "val")[0]
    rays = torch.from_numpy(sphere.rays(*sample.size).copy()).permute(2, 0, 1)
    valid = sample.normals_valid[0]
    assert ((sample.normals * rays).sum(0)[valid] < 0.1).float().mean() > 0.99
    torch.testing.assert_close(
        sample.normals.norm(dim=0)[valid], torch.ones(int(valid.sum())), rtol=0, atol=1e-4
    )
    # Neighbouring points of a surface lie across its normal.
    points = rays * sample.depth
    step = points[:, :, 1:] - points[:, :, :-1]
    floor = sample.semseg == load_class_set("indoor18").names.index("floor")
    flat = floor[:, 1:] & floor[:, :-1] & sample.depth_valid[0, :, 1:]
    rise = (step * sample.normals[:, :, 1:]).sum(0).abs() / step.norm(dim=0).clamp(min=1e-6)
    assert rise[flat].median() < 0.05
    assert len(RoomsDataset(root, "all")) == len((root / "index.jsonl").read_text().splitlines())
