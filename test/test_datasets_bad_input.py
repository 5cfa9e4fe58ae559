"""Readers of public data sets on broken trees: what is skipped, and what is refused by name."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from damaged_pictures import oversized_png
from public_trees import SIZE, WALL, Room, write, write_matterport3d, write_structured3d

from mtpano_model.classes import IGNORE
from mtpano_model.data.matterport3d import Matterport3DDataset
from mtpano_model.data.stanford2d3d import Stanford2D3DDataset
from mtpano_model.data.structured3d import Structured3DDataset
from mtpano_model.errors import MtpanoError


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


def test_half_written_and_oversized_files_are_named(tmp_path: Path, room: Room) -> None:
    folder = write_structured3d(tmp_path, "00001", room)
    data = Structured3DDataset(tmp_path, size=None)
    for name in ("rgb_rawlight.png", "depth.png", "normal.png", "semantic.png"):
        whole = (folder / name).read_bytes()
        for damaged in (whole[: len(whole) * 2 // 3], oversized_png()):
            (folder / name).write_bytes(damaged)
            with pytest.raises(MtpanoError, match=rf"cannot read .*{name} as a picture"):
                data[0]
        (folder / name).write_bytes(whole)
    data[0]


def test_a_half_written_jpeg_is_named(tmp_path: Path, room: Room) -> None:
    write_matterport3d(tmp_path, "17DRP5sb8fy", "a", room)
    path = tmp_path / "mp3d_results_panoramas/17DRP5sb8fy/a_panorama.jpg"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(MtpanoError, match=r"cannot read .*a_panorama.jpg as a picture"):
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
