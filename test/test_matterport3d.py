"""The reader of Matterport3D, on a tiny tree where every pixel has a right answer."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from public_trees import SIZE, Room, write, write_matterport3d

from mtpano_model.classes import IGNORE
from mtpano_model.data.matterport3d import Matterport3DDataset, scan_split


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
