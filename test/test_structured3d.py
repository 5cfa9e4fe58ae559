"""The reader of Structured3D, on a tiny tree where every pixel has a right answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from public_trees import CEILING, FLOOR, SIZE, WALL, Room, write_structured3d

from mtpano_model.classes import IGNORE, load_class_set
from mtpano_model.data.sample import Sample, collate
from mtpano_model.data.structured3d import Structured3DDataset


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
