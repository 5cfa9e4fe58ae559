"""Readers of PanoCARLA-Static, ZüriPano, PanoInfinigen and ZInD on trees in their layouts."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from public_trees import SIZE, Room, released, write

from mtpano_model.classes import IGNORE, load_class_set
from mtpano_model.data.public_data import say_license
from mtpano_model.data.sources import SOURCES
from mtpano_model.errors import MtpanoError

OUTDOOR = load_class_set("outdoor19").names


@pytest.fixture
def room() -> Room:
    return Room()


def png(array) -> bytes:
    return cv2.imencode(".png", array[..., ::-1] if array.ndim == 3 else array)[1].tobytes()


def npy(array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def write_panocarla(root: Path, route: str, room: Room, frame: str = "000123") -> Path:
    folder = root / route
    write(folder / "panorama_rgb" / f"{frame}.png", room.rgb)
    depth = np.where(room.hole, 1000.0, room.depth).astype(np.float32)  # the far plane
    (folder / "panorama_depth_npy").mkdir(parents=True, exist_ok=True)
    (folder / "panorama_depth_npy" / f"{frame}.npy").write_bytes(npy(depth))
    # CARLA's tags: 11 sky, 1 road, 24 road line, 3 building, 20 static.
    tags = np.select([room.nyu == 22, room.nyu == 2], [11, 1], 3).astype(np.uint8)
    tags[-1] = 24
    tags[room.hole] = 20
    write(folder / "panorama_segmentation" / f"{frame}.png", tags)
    return folder


def write_zuripano(root: Path, room: Room) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    depth = np.round(room.depth / 200 * 65535).astype(np.uint16)
    row = {
        "id": "Platz 1",
        "rgb": {"bytes": png(room.rgb), "path": None},
        "depth": {"bytes": png(depth), "path": None},
        "mask": {"bytes": png((~room.hole * 255).astype(np.uint8)), "path": None},
    }
    (root / "data").mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist([row, {**row, "id": "Platz 2"}])
    parquet.write_table(table, root / "data" / "test-00000-of-00001.parquet")


def write_panoinfinigen(root: Path, room: Room) -> None:
    lmdb = pytest.importorskip("lmdb")
    folder = root / "outdoor" / "train" / "shard_00000.lmdb"
    folder.mkdir(parents=True)
    depth = np.where(room.hole, 1e10, room.depth).astype(np.float32)
    with lmdb.open(str(folder), map_size=1 << 22) as shard, shard.begin(write=True) as entries:
        entries.put(b"7f3a/0000#rgb", png(room.rgb))
        entries.put(b"7f3a/0000#depth", npy(depth))
        entries.put(b"7f3a/0000#normal", npy(released(room.normals).astype(np.float16)))
        entries.put(b"7f3a/0001#rgb", png(room.rgb))  # without the others


def write_panoinfinigen_table(root: Path, room: Room, pictures: bool) -> None:
    """The hub's form: .npy files in cells, or pictures as the makers' encoder writes them."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    depth = np.where(room.hole, 75.0, room.depth)  # where the renderer stops
    normals = np.where(room.hole[..., None], 0, released(room.normals))
    row = {"image": {"bytes": png(room.rgb), "path": None}}
    if pictures:
        row["depth"] = {"bytes": png(np.round(depth / 75 * 65535).astype(np.uint16))}
        jpeg = ((normals + 1) * 127.5).astype(np.uint8)[..., ::-1]
        row["normals"] = {"bytes": cv2.imencode(".jpg", jpeg, [1, 95])[1].tobytes()}
    else:
        row["depth"], row["normals"] = npy(depth.astype(np.float32)), npy(normals)
    table = pa.Table.from_pylist([row, {**row, "depth": None}, row])
    (root / "data" / "indoor").mkdir(parents=True)
    path = root / "data" / "indoor" / "train-00000.parquet"
    parquet.write_table(table, path, row_group_size=2)


def write_zind(root: Path, room: Room, scale: float | None = 2.0) -> Path:
    """The box room as a layout: units of the camera's height (1 m is 0.25 of 2.0 x 2.0 m)."""
    home = root / "0042"
    write(home / "panos" / "floor_01_partial_room_01_pano_3.jpg", room.rgb)
    # x to the left, y ahead: the walls are 3 m right, 2 m left, 5 m ahead, 4 m behind.
    corners = [[-3, 5], [2, 5], [2, -4], [-3, -4]]
    unit = 1 / 4
    pano = {
        "image_path": "panos/floor_01_partial_room_01_pano_3.jpg",
        "camera_height": 1.0 * unit,
        "ceiling_height": 2.5 * unit,
        "floor_plan_transformation": {"translation": [3, 4], "rotation": 30.0, "scale": 2.0},
        "layout_raw": {
            "vertices": [[x * unit, y * unit] for x, y in corners],
            "doors": [[-3 * unit, 2 * unit], [-3 * unit, 1 * unit], [-1 * unit, 1 * unit]],
            "windows": [[1 * unit, 5 * unit], [-1 * unit, 5 * unit], [-0.2 * unit, 0.8 * unit]],
            "openings": [[2 * unit, -1 * unit], [2 * unit, 1 * unit], [-1 * unit, 1.5 * unit]],
        },
    }
    floors = {"floor_01": {"complete_room_01": {"partial_room_01": {"pano_3": pano}}}}
    facts = {"scale_meters_per_coordinate": {"floor_01": scale}, "merger": floors}
    (home / "zind_data.json").write_text(json.dumps(facts))
    (root / "zind_partition.json").write_text(
        json.dumps({"train": ["0042"], "val": [], "test": []})
    )
    return home


WRITERS = {
    "panocarla": lambda root, room: write_panocarla(root, "town05_path1", room),
    "zuripano": write_zuripano,
    "panoinfinigen": write_panoinfinigen,
    "panoinfinigen of arrays": partial(write_panoinfinigen_table, pictures=False),
    "panoinfinigen of pictures": partial(write_panoinfinigen_table, pictures=True),
    "zind": write_zind,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_depth_is_metres_along_the_ray_and_the_licence_is_said_once(tmp_path, room, kind, caplog):
    say_license.cache_clear()
    caplog.set_level(logging.INFO)
    WRITERS[kind](tmp_path, room)
    source = SOURCES[kind.split()[0]]
    for _ in range(2):
        data = source.open(tmp_path, "all", None, source.own_set)
    assert len([m for m in caplog.messages if "the licence of" in m]) == 1
    sample = data[0]
    seen = sample.depth_valid[0].numpy()
    error = np.abs(sample.depth[0].numpy() - room.depth)[seen]
    assert error.max() < {"zuripano": 0.004, "panoinfinigen of pictures": 0.001}.get(kind, 1e-4)
    if kind == "zind":
        assert seen.mean() > 0.9
    else:
        np.testing.assert_array_equal(seen, ~room.hole)
        np.testing.assert_array_equal(sample.image.numpy().transpose(1, 2, 0), room.rgb)
    half = source.open(tmp_path, "all", (SIZE[0] // 2, SIZE[1] // 2), source.own_set)[0]
    assert half.depth.shape == (1, SIZE[0] // 2, SIZE[1] // 2)


def test_carla_s_tags_become_cityscapes_classes_and_its_sky_is_open(tmp_path, room):
    write_panocarla(tmp_path, "town05_path1", room)
    labels = SOURCES["panocarla"].open(tmp_path, "all", None, "outdoor19")[0].semseg.numpy()
    expected = np.select(
        [room.nyu == 22, room.nyu == 2], [OUTDOOR.index("sky"), OUTDOOR.index("road")],
        OUTDOOR.index("building"),
    )  # fmt: skip
    expected[-1] = OUTDOOR.index("road")
    expected[room.hole] = IGNORE
    np.testing.assert_array_equal(labels, expected)
    assert load_class_set("outdoor19").open[OUTDOOR.index("sky")]


def test_panocarla_splits_by_town(tmp_path, room):
    for town in ("town03", "town05", "town07"):
        write_panocarla(tmp_path, f"{town}_path1", room)
    for split, town in (("train", "town05"), ("val", "town03"), ("test", "town07")):
        data = SOURCES["panocarla"].open(tmp_path, split, None, "outdoor19")
        assert data.names == [f"{town}_path1/000123"]


@pytest.mark.parametrize("kind", [k for k in WRITERS if k.startswith(("panoinf", "zind"))])
def test_normals_look_at_the_camera_in_the_optical_frame(tmp_path, room, kind):
    WRITERS[kind](tmp_path, room)
    source = SOURCES[kind.split()[0]]
    sample = source.open(tmp_path, "all", None, source.own_set)[0]
    valid = sample.normals_valid[0].numpy()
    assert valid.mean() > 0.9
    cosine = (sample.normals.numpy().transpose(1, 2, 0) * room.normals).sum(-1)
    assert np.median(cosine[valid]) > 0.999
    # JPEG smears at edges, and 32 rows are hardly anything else.
    assert cosine[valid].min() > (0.5 if kind.endswith("pictures") else 0.999)


def test_rows_are_named_read_in_any_order_and_an_empty_cell_is_one_sentence(tmp_path, room):
    write_panoinfinigen_table(tmp_path, room, pictures=False)
    data = SOURCES["panoinfinigen"].open(tmp_path, "train", None, "outdoor19")
    assert data.names == [f"indoor/train-00000/{n:04d}" for n in range(3)]
    for index in (2, 0, 2, 0):
        assert data[index].name == data.names[index]
    with pytest.raises(MtpanoError, match=r"0001' of .* is damaged \(a cell is empty\)"):
        data[1]
    with pytest.raises(MtpanoError, match="holds no complete view of split 'val'"):
        SOURCES["panoinfinigen"].open(tmp_path, "val", None, "outdoor19")
    (tmp_path / "data" / "indoor").rename(tmp_path / "data" / "moon")
    with pytest.raises(MtpanoError, match="in a folder 'moon': expected one of indoor, nature"):
        SOURCES["panoinfinigen"].open(tmp_path, "train", None, "outdoor19")


def test_a_shard_that_is_cut_off_is_one_sentence_and_kills_nothing(tmp_path, room):
    write_panoinfinigen(tmp_path, room)
    data = next(tmp_path.rglob("data.mdb"))
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    with pytest.raises(MtpanoError, match=r"is cut off .* copy it again"):
        SOURCES["panoinfinigen"].open(tmp_path, "all", None, "outdoor19")


@pytest.mark.parametrize("kind", ["zuripano", "panoinfinigen"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path, room, kind):
    WRITERS[kind](tmp_path, room)
    for file in [*tmp_path.rglob("*.parquet"), *tmp_path.rglob("data.mdb")]:
        file.unlink()
        os.mkfifo(file)
    with pytest.raises(MtpanoError, match="it is no regular file"):
        SOURCES[kind].open(tmp_path, "all", None, "outdoor19")


def test_normals_of_another_frame_are_left_out_with_a_word(tmp_path, room, caplog):
    room.normals = -room.normals
    write_panoinfinigen_table(tmp_path, room, pictures=False)
    sample = SOURCES["panoinfinigen"].open(tmp_path, "train", None, "outdoor19")[0]
    assert not sample.normals_valid.any()
    assert sample.depth_valid.any()
    assert "most normals look away from the camera" in caplog.text


def test_a_layout_becomes_walls_doors_windows_and_nothing_behind_openings(tmp_path, room):
    write_zind(tmp_path, room)
    sample = SOURCES["zind"].open(tmp_path, "train", None, "nyu40")[0]
    names = load_class_set("nyu40").names
    labels = sample.semseg.numpy()
    half = SIZE[0] // 2 - 1  # just above the horizon
    # Columns run from behind over the left (a quarter) to ahead (half) and the right.
    at = {"left": SIZE[1] // 4, "ahead": SIZE[1] // 2, "right": 3 * SIZE[1] // 4}
    assert names[labels[half, at["ahead"]]] == "window"
    assert labels[half, at["left"]] == IGNORE, "the opening"
    assert not sample.depth_valid[0, half, at["left"]]
    assert names[labels[half, at["right"]]] == "wall"
    door = at["right"] - round(np.degrees(np.arctan2(1.5, 3)) / 360 * SIZE[1])
    assert names[labels[half, door]] == "door"
    assert names[labels[0, 0]] == "ceiling"
    assert names[labels[-1, 0]] == "floor"


@pytest.mark.parametrize("kind", WRITERS)
def test_an_empty_or_half_copied_tree_is_one_sentence(tmp_path, room, kind):
    source = SOURCES[kind.split()[0]]
    with pytest.raises(MtpanoError, match="holds no"):
        source.open(tmp_path, "all", None, source.own_set)
    WRITERS[kind](tmp_path, room)
    for file in sorted(tmp_path.rglob("*")):
        if file.suffix in (".npy", ".parquet", ".mdb") or file.name == "zind_data.json":
            file.write_bytes(file.read_bytes()[:30])
    with pytest.raises(MtpanoError, match=r"cannot be read|is damaged|holds no|is not as"):
        source.open(tmp_path, "all", None, source.own_set)[0]


def test_a_floor_without_scale_and_a_missing_picture_are_left_out(tmp_path, room, caplog):
    home = write_zind(tmp_path, room, scale=None)
    with pytest.raises(MtpanoError, match=r"\(1 without\)"):
        SOURCES["zind"].open(tmp_path, "all", None, "nyu40")
    (home / "zind_data.json").write_text('{"merger": {"floor_01": []}}')
    with pytest.raises(MtpanoError, match="is not as ZInD's makers document it"):
        SOURCES["zind"].open(tmp_path, "all", None, "nyu40")


@pytest.mark.parametrize(("kind", "library"), [("zuripano", "pyarrow"), ("panoinfinigen", "lmdb")])
def test_a_missing_library_is_one_sentence(tmp_path, monkeypatch, kind, library):
    for module in (library, f"{library}.parquet"):
        monkeypatch.setitem(sys.modules, module, None)
    place = {"zuripano": "data/test-0.parquet", "panoinfinigen": "outdoor/test/shard_00000.lmdb/x"}
    file = tmp_path / place[kind]
    file.parent.mkdir(parents=True)
    file.write_bytes(b"")
    with pytest.raises(MtpanoError, match=f"pip install {library}"):
        SOURCES[kind].open(tmp_path, "test", None, "outdoor19")
