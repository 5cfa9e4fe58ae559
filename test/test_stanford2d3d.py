"""The reader of Stanford2D3D, on a tiny tree where every pixel has a right answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from public_trees import CEILING, FLOOR, WALL, Room, write_stanford2d3d

from mtpano_model.classes import IGNORE, load_class_set
from mtpano_model.data.sample import Sample
from mtpano_model.data.stanford2d3d import Stanford2D3DDataset
from mtpano_model.errors import MtpanoError


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
