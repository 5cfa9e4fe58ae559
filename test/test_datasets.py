"""Readers of public data sets, on tiny trees in each set's exact layout and encoding.

The scene is a box room with known depth, normals and classes, so every pixel has a right answer.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mtpano_model.classes import IGNORE, load_class_set
from mtpano_model.data.matterport3d import Matterport3DDataset, scan_split
from mtpano_model.data.sample import Sample, collate
from mtpano_model.data.stanford2d3d import Stanford2D3DDataset
from mtpano_model.data.structured3d import Structured3DDataset
from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import rays, yaw_matrix

SIZE = (32, 64)
WALL, FLOOR, CEILING = 1, 2, 22  # NYU40 ids as stored
HOLE = (slice(10, 14), slice(5, 9))  # no depth, no normal, no label here


class Room:
    """A box around the camera: x from -2 to 3, z from -4 to 5, floor 1 m down, ceiling 1.5 up."""

    def __init__(self) -> None:
        ray = rays(*SIZE).astype(np.float64)
        faces = np.where(ray > 0, [3.0, 1.0, 5.0], [2.0, 1.5, 4.0])
        distance = faces / np.maximum(np.abs(ray), 1e-9)
        axis = distance.argmin(-1)
        self.depth = np.take_along_axis(distance, axis[..., None], -1)[..., 0]
        self.normals = np.zeros((*SIZE, 3))
        sign = -np.sign(np.take_along_axis(ray, axis[..., None], -1))
        np.put_along_axis(self.normals, axis[..., None], sign, -1)
        self.nyu = np.where(axis == 1, np.where(ray[..., 1] > 0, FLOOR, CEILING), WALL)
        self.rgb = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
        self.hole = np.zeros(SIZE, bool)
        self.hole[HOLE] = True


@pytest.fixture(scope="module")
def room() -> Room:
    return Room()


def write(path: Path, array: NDArray[Any]) -> None:
    """Write a picture; colours are given as RGB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), array[..., ::-1] if array.ndim == 3 else array)


def encode_normals(normals: NDArray[Any], hole: NDArray[np.bool_]) -> NDArray[np.uint8]:
    encoded = np.round((normals + 1) * 127.5).astype(np.uint8)
    encoded[hole] = 128
    return encoded


def released(normals: NDArray[Any]) -> NDArray[Any]:
    """Optical -> x forward, y up, z left."""
    return np.stack([normals[..., 2], -normals[..., 1], -normals[..., 0]], -1)


def assert_is_the_room(sample: Sample, room: Room, depth_step: float) -> None:
    seen = ~room.hole
    np.testing.assert_array_equal(sample.image.numpy().transpose(1, 2, 0), room.rgb)
    np.testing.assert_array_equal(sample.depth_valid[0].numpy(), seen)
    np.testing.assert_array_equal(sample.normals_valid[0].numpy(), seen)
    assert np.abs(sample.depth[0].numpy() - room.depth)[seen].max() <= depth_step
    normals = sample.normals.numpy().transpose(1, 2, 0)
    assert (normals * room.normals).sum(-1)[seen].min() > 0.9999
    assert (sample.depth[0].numpy()[room.hole] == 0).all()
    assert (normals[room.hole] == 0).all()
    assert len(collate([sample, sample])) == 2


# --- Structured3D --------------------------------------------------------------------------------


def write_structured3d(root: Path, scene: str, room: Room, name: str = "485142") -> Path:
    folder = root / f"scene_{scene}" / "2D_rendering" / name / "panorama" / "full"
    write(folder / "rgb_rawlight.png", room.rgb)
    write(folder / "depth.png", np.where(room.hole, 0, room.depth * 1000).round().astype(np.uint16))
    write(folder / "normal.png", encode_normals(released(room.normals), room.hole))
    write(folder / "semantic.png", np.where(room.hole, 0, room.nyu).astype(np.uint8))
    return folder


def test_structured3d_gives_the_room(tmp_path: Path, room: Room) -> None:
    write_structured3d(tmp_path, "00007", room)
    data = Structured3DDataset(tmp_path, size=None)
    assert data.names == ["scene_00007/485142"]
    sample = data[0]
    assert_is_the_room(sample, room, 0.0006)
    expected = np.where(room.hole, IGNORE, room.nyu - 1)
    np.testing.assert_array_equal(sample.semseg.numpy(), expected)


def test_structured3d_in_the_default_class_set(tmp_path: Path, room: Room) -> None:
    write_structured3d(tmp_path, "00007", room)
    names = load_class_set("indoor18").names
    labels = Structured3DDataset(tmp_path, size=None, class_set="indoor18")[0].semseg.numpy()
    for nyu, name in ((WALL, "wall"), (FLOOR, "floor"), (CEILING, "ceiling")):
        assert (labels[(room.nyu == nyu) & ~room.hole] == names.index(name)).all()


def test_structured3d_splits_by_scene_and_leaves_the_withdrawn_ones_out(
    tmp_path: Path, room: Room
) -> None:
    for scene in ("02999", "03000", "03249", "03250", "01155", "03398"):
        write_structured3d(tmp_path, scene, room)
    names = {split: Structured3DDataset(tmp_path, split).names for split in ("train", "val")}
    assert names == {
        "train": ["scene_02999/485142"],
        "val": ["scene_03000/485142", "scene_03249/485142"],
    }
    assert Structured3DDataset(tmp_path, "test").names == ["scene_03250/485142"]
    assert len(Structured3DDataset(tmp_path, "all")) == 4


def test_structured3d_reads_semantics_stored_with_a_palette(tmp_path: Path, room: Room) -> None:
    image_module = pytest.importorskip("PIL.Image")
    folder = write_structured3d(tmp_path, "00007", room)
    ids = np.where(room.hole, 0, room.nyu).astype(np.uint8)
    picture = image_module.new("P", SIZE[::-1])
    picture.putdata(ids.ravel().tolist())
    palette = np.random.default_rng(1).permutation(256 * 3).reshape(256, 3).astype(np.uint8)
    palette[0] = palette[200:] = 0  # unused entries repeat the colour of "none"
    picture.putpalette(palette.ravel().tolist())
    picture.save(folder / "semantic.png")
    labels = Structured3DDataset(tmp_path, size=None)[0].semseg.numpy()
    np.testing.assert_array_equal(labels, np.where(room.hole, IGNORE, room.nyu - 1))


def test_resizing_invents_no_value(tmp_path: Path, room: Room) -> None:
    write_structured3d(tmp_path, "00007", room)
    small = Structured3DDataset(tmp_path, size=(16, 32))[0]
    assert small.size == (16, 32)
    depths = set(np.where(room.hole, 0, room.depth * 1000).round().astype(int).ravel())
    assert set((small.depth.numpy() * 1000).round().astype(int).ravel()) <= depths
    assert set(small.semseg.numpy().ravel()) <= {IGNORE, WALL - 1, FLOOR - 1, CEILING - 1}


# --- Matterport3D --------------------------------------------------------------------------------


def write_matterport3d(root: Path, scan: str, viewpoint: str, room: Room) -> None:
    write(root / "mp3d_results_panoramas" / scan / f"{viewpoint}_panorama.jpg", room.rgb)
    labels = root / "mp3d_aligned_labels" / scan
    depth = np.where(room.hole, 0, room.depth * 1000).round().astype(np.uint16)
    write(labels / "depth" / f"{viewpoint}_depth.png", depth)
    normals = encode_normals(released(room.normals), room.hole)
    write(labels / "normal" / f"{viewpoint}_normal.png", normals)
    semantic = np.where(room.hole, 0, room.nyu).astype(np.uint8)
    write(labels / "semantic" / f"{viewpoint}_semantic.png", semantic)


def test_matterport3d_gives_the_room_without_what_is_beyond_10_m(
    tmp_path: Path, room: Room
) -> None:
    write_matterport3d(tmp_path, "17DRP5sb8fy", "0f37bd0737e349de9d536263a4bdd60d", room)
    far = tmp_path / "mp3d_aligned_labels/17DRP5sb8fy/depth"
    path = next(far.iterdir())
    depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    depth[0, :3] = 10001
    cv2.imwrite(str(path), depth)
    sample = Matterport3DDataset(tmp_path, size=None)[0]
    assert sample.name == "17DRP5sb8fy/0f37bd0737e349de9d536263a4bdd60d"
    expected = ~room.hole
    expected[0, :3] = False
    np.testing.assert_array_equal(sample.depth_valid[0].numpy(), expected)
    assert np.abs(sample.depth[0].numpy() - room.depth)[expected].max() < 0.0006
    normals = sample.normals.numpy().transpose(1, 2, 0)
    assert (normals * room.normals).sum(-1)[~room.hole].min() > 0.9999
    labels = np.where(room.hole, IGNORE, room.nyu - 1)
    np.testing.assert_array_equal(sample.semseg.numpy(), labels)


def test_matterport3d_brings_panorama_and_labels_to_one_size(tmp_path: Path, room: Room) -> None:
    write_matterport3d(tmp_path, "17DRP5sb8fy", "a", room)
    big = np.repeat(np.repeat(room.rgb, 2, 0), 2, 1)
    write(tmp_path / "mp3d_results_panoramas/17DRP5sb8fy/a_panorama.jpg", big)
    assert Matterport3DDataset(tmp_path, size=None)[0].size == SIZE
    assert Matterport3DDataset(tmp_path, size=(16, 32))[0].size == (16, 32)


def test_matterport3d_splits_by_scan(tmp_path: Path, room: Room) -> None:
    for scan in ("17DRP5sb8fy", "2azQ1b91cZZ", "2t7WUuJeko7"):
        write_matterport3d(tmp_path, scan, "a", room)
    found = {split: Matterport3DDataset(tmp_path, split).names for split in ("train", "val")}
    assert found == {"train": ["17DRP5sb8fy/a"], "val": ["2azQ1b91cZZ/a"]}
    assert Matterport3DDataset(tmp_path, "test").names == ["2t7WUuJeko7/a"]
    assert scan_split("Vt2qJdWjCF2") == "test"


# --- Stanford2D3D --------------------------------------------------------------------------------

INSTANCES = ["<UNK>_0_<UNK>_0_0", "wall_1_office_3_1", "ceiling_1_office_3_1", "floor_1_office_3_1"]


def write_stanford2d3d(root: Path, area: str, room: Room, yaw: float = 0.7) -> str:
    """World: z up; the camera looks along a world direction turned by `yaw`."""
    stem = "camera_0a70cd8d4f2b48239aaa5db59719158a_office_12_frame_equirectangular_domain"
    pano = root / area / "pano"
    write(pano / "rgb" / f"{stem}_rgb.png", room.rgb)
    depth = np.where(room.hole, 65535, np.round(room.depth * 512)).astype(np.uint16)
    write(pano / "depth" / f"{stem}_depth.png", depth)
    # x right, y down, z forward of a level camera in a world with z up, then turned about z.
    level = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    camera_from_world = yaw_matrix(yaw) @ level
    world_normals = room.normals @ camera_from_world  # rows: n_world = R^T n_camera
    write(pano / "normal" / f"{stem}_normals.png", encode_normals(world_normals, room.hole))
    index = np.select([room.nyu == WALL, room.nyu == CEILING], [1, 2], 3)
    index[room.hole] = 0x0D0D0D
    codes = np.stack([index >> 16, index >> 8 & 255, index & 255], -1).astype(np.uint8)
    write(pano / "semantic" / f"{stem}_semantic.png", codes)
    translation = -camera_from_world @ np.array([[1.0], [2.0], [1.5]])
    pose = {"camera_rt_matrix": np.hstack([camera_from_world, translation]).tolist()}
    (pano / "pose").mkdir(parents=True, exist_ok=True)
    (pano / "pose" / f"{stem}_pose.json").write_text(json.dumps(pose))
    (root / "assets").mkdir(exist_ok=True)
    (root / "assets" / "semantic_labels.json").write_text(json.dumps(INSTANCES))
    return stem


def test_stanford2d3d_gives_the_room(
    tmp_path: Path, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    write_stanford2d3d(tmp_path, "area_1", room)
    sample = Stanford2D3DDataset(tmp_path, size=None)[0]
    assert sample.name == "area_1/camera_0a70cd8d4f2b48239aaa5db59719158a_office_12"
    seen = ~room.hole
    assert_is_the_room_within_a_degree(sample, room)
    names = load_class_set("stanford13").names
    for nyu, name in ((WALL, "wall"), (FLOOR, "floor"), (CEILING, "ceiling")):
        assert (sample.semseg.numpy()[(room.nyu == nyu) & seen] == names.index(name)).all()
    assert (sample.semseg.numpy()[room.hole] == IGNORE).all()
    assert not caplog.records


def assert_is_the_room_within_a_degree(sample: Sample, room: Room) -> None:
    """8-bit normals of a turned world have up to 0.5 degrees of rounding."""
    seen = ~room.hole
    np.testing.assert_array_equal(sample.depth_valid[0].numpy(), seen)
    assert np.abs(sample.depth[0].numpy() - room.depth)[seen].max() <= 0.5 / 512 + 1e-6
    normals = sample.normals.numpy().transpose(1, 2, 0)
    assert (normals * room.normals).sum(-1)[seen].min() > np.cos(np.deg2rad(0.6))
    np.testing.assert_array_equal(sample.normals_valid[0].numpy(), seen)


def test_stanford2d3d_fold_1(tmp_path: Path, room: Room) -> None:
    for area in ("area_3", "area_5a", "area_5b"):
        write_stanford2d3d(tmp_path, area, room)
    areas = [n.split("/")[0] for n in Stanford2D3DDataset(tmp_path, "val").names]
    assert areas == ["area_5a", "area_5b"]
    assert len(Stanford2D3DDataset(tmp_path, "train")) == 1
    assert len(Stanford2D3DDataset(tmp_path)) == 3


def test_stanford2d3d_warns_where_pose_and_normals_disagree(
    tmp_path: Path, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    stem = write_stanford2d3d(tmp_path, "area_1", room)
    path = tmp_path / "area_1" / "pano" / "pose" / f"{stem}_pose.json"
    rotation = np.array(json.loads(path.read_text())["camera_rt_matrix"])[:, :3]
    path.write_text(json.dumps({"camera_rt_matrix": (np.diag([-1, -1, 1.0]) @ rotation).tolist()}))
    Stanford2D3DDataset(tmp_path, size=None)[0]
    assert "face the camera" in caplog.text
    assert "camera_0a70cd8d4f2b48239aaa5db59719158a_office_12" in caplog.text


@pytest.mark.parametrize("content", ['{"camera_rt', '{"k": 1}', '{"camera_rt_matrix": [[1, 0]]}'])
def test_stanford2d3d_names_a_broken_pose(tmp_path: Path, room: Room, content: str) -> None:
    stem = write_stanford2d3d(tmp_path, "area_1", room)
    (tmp_path / "area_1" / "pano" / "pose" / f"{stem}_pose.json").write_text(content)
    with pytest.raises(MtpanoError, match=f"{stem}_pose.json.*copy it again"):
        Stanford2D3DDataset(tmp_path)[0]


def test_stanford2d3d_names_missing_label_names(tmp_path: Path, room: Room) -> None:
    write_stanford2d3d(tmp_path, "area_1", room)
    (tmp_path / "assets" / "semantic_labels.json").unlink()
    with pytest.raises(MtpanoError, match=r"semantic_labels.json"):
        Stanford2D3DDataset(tmp_path)


# --- bad input -----------------------------------------------------------------------------------


def test_a_frame_without_one_of_its_files_is_skipped_and_counted(
    tmp_path: Path, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    write_structured3d(tmp_path, "00001", room)
    (write_structured3d(tmp_path, "00002", room) / "depth.png").unlink()
    data = Structured3DDataset(tmp_path)
    assert data.names == ["scene_00001/485142"]
    assert data.skipped == ["scene_00002/485142"]
    assert "1 frames skipped" in caplog.text
    assert "depth.png" in caplog.text


def test_half_written_files_are_named(tmp_path: Path, room: Room) -> None:
    folder = write_structured3d(tmp_path, "00001", room)
    data = Structured3DDataset(tmp_path, size=None)
    for name in ("rgb_rawlight.png", "depth.png", "normal.png", "semantic.png"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) * 2 // 3])
        with pytest.raises(MtpanoError, match=rf"{name} cannot be decoded"):
            data[0]
        (folder / name).write_bytes(whole)
    data[0]


def test_a_half_written_jpeg_is_named(tmp_path: Path, room: Room) -> None:
    write_matterport3d(tmp_path, "17DRP5sb8fy", "a", room)
    path = tmp_path / "mp3d_results_panoramas/17DRP5sb8fy/a_panorama.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(MtpanoError, match=r"a_panorama.jpg cannot be decoded"):
        Matterport3DDataset(tmp_path)[0]


def test_classes_outside_the_table_count_as_unlabelled(
    tmp_path: Path, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write_structured3d(tmp_path, "00001", room)
    labels = np.full(SIZE, WALL, np.uint8)
    labels[0, :5] = 41
    write(folder / "semantic.png", labels)
    with caplog.at_level(logging.WARNING):
        semseg = Structured3DDataset(tmp_path, size=None)[0].semseg.numpy()
    assert (semseg[0, :5] == IGNORE).all()
    assert (semseg[1:] == WALL - 1).all()
    assert "5 pixels of classes outside 0..39" in caplog.text
    assert "semantic.png" in caplog.text


def test_a_picture_that_is_not_a_panorama_is_refused(tmp_path: Path, room: Room) -> None:
    folder = write_structured3d(tmp_path, "00001", room)
    for name in ("rgb_rawlight.png", "depth.png", "normal.png", "semantic.png"):
        picture = cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(folder / name), picture[:, :48])
    with pytest.raises(MtpanoError, match=r"32x48.*twice as wide as high"):
        Structured3DDataset(tmp_path, size=None)[0]


def test_pictures_of_different_sizes_are_refused(tmp_path: Path, room: Room) -> None:
    folder = write_structured3d(tmp_path, "00001", room)
    write(folder / "depth.png", np.ones((16, 32), np.uint16))
    with pytest.raises(MtpanoError, match=r"scene_00001/485142 has pictures of sizes"):
        Structured3DDataset(tmp_path, size=None)[0]


def test_grey_normals_are_refused(tmp_path: Path, room: Room) -> None:
    folder = write_structured3d(tmp_path, "00001", room)
    write(folder / "normal.png", np.zeros(SIZE, np.uint8))
    with pytest.raises(MtpanoError, match=r"normal.png has shape 32x64: expected 3 channels"):
        Structured3DDataset(tmp_path, size=None)[0]


@pytest.mark.parametrize("dataset", [Structured3DDataset, Matterport3DDataset, Stanford2D3DDataset])
def test_a_folder_without_frames_says_what_was_expected(tmp_path: Path, dataset: Any) -> None:
    with pytest.raises(MtpanoError, match=r"holds no complete frame: expected .*depth"):
        dataset(tmp_path)


def test_an_unknown_class_set_is_refused(tmp_path: Path, room: Room) -> None:
    write_structured3d(tmp_path, "00001", room)
    with pytest.raises(MtpanoError, match=r"cannot be turned into 'ade20k150'"):
        Structured3DDataset(tmp_path, class_set="ade20k150")
