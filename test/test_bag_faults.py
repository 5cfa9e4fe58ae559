"""Bags as they come from robots: without metadata, edited, compressed, cut, of another kind."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import tempfile
from pathlib import Path

import numpy as np
import pytest
from bag_doors import TEN, storage_file
from bag_files import STORE, rosbag2, write_bag
from odd_pictures import scene

from mtpano_model.data.rosbag import BagPanoramas
from mtpano_model.errors import MtpanoError
from mtpano_model.shots.bag import find_images, read_images
from mtpano_model.shots.recording import is_recording
from mtpano_ros.tools.sources import open_source

FIRST = scene() // 2


def player(path: Path) -> int:
    frames = list(open_source(path).frames())
    np.testing.assert_array_equal(frames[0], FIRST)
    return len(frames)


def label(path: Path) -> int:
    assert is_recording(path)
    panoramas = list(BagPanoramas(path).panoramas())
    np.testing.assert_array_equal(panoramas[0].image, FIRST)
    return len(panoramas)


doors = pytest.mark.parametrize("door", [player, label])
storages = pytest.mark.parametrize("storage", ["SQLITE3", "MCAP"])


@doors
@storages
def test_a_bag_without_metadata_is_read(storage, door, tmp_path):
    bag = write_bag(tmp_path / "bag", {"/image": TEN}, storage)
    (bag / "metadata.yaml").unlink()
    assert door(bag) == 10
    assert door(storage_file(bag)) == 10


@doors
def test_split_files_are_read_in_natural_order_and_a_cut_one_is_left_out(door, tmp_path, caplog):
    whole = tmp_path / "run"
    whole.mkdir()
    for place, number in enumerate((0, 2, 9, 10)):
        part = write_bag(tmp_path / f"part{number}", {"/image": [TEN[place]]})
        shutil.copy(storage_file(part), whole / f"run_{number}.db3")
    assert [stamp - 10**9 for stamp, _ in read_images(whole)] == [0, 1, 2, 3]
    cut = whole / "run_10.db3"
    cut.write_bytes(cut.read_bytes()[:5000])
    assert door(whole) == 3
    assert "left out: bag" in caplog.text
    assert "run_10.db3" in caplog.text


@doors
@storages
@pytest.mark.parametrize(
    "name", ["#1 run", "a?b", "100%25", "50% speed", "a;b'c", "größe&=", "\udcff"]
)
def test_any_folder_name_will_do(name, storage, door, tmp_path):
    assert door(write_bag(tmp_path / "bag", {"/image": TEN}, storage).rename(tmp_path / name)) == 10


@doors
@storages
@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        (r"offered_qos_profiles: .*?(?=\n +type_desc)", "offered_qos_profiles: []"),
        (r"offered_qos_profiles: .*?(?=\n +type_desc)", "offered_qos_profiles: 'reliability: 2'"),
        (r"message_count: \d+", "message_count: 0"),
        (r"(?s).*", "{ this is no YAML"),
        (r"type: sensor_msgs/msg/Image", "type: sensor_msgs/msg/Foto"),
    ],
)
def test_hand_edited_metadata_change_nothing(pattern, value, storage, door, tmp_path):
    bag = write_bag(tmp_path / "bag", {"/image": TEN}, storage)
    metadata = bag / "metadata.yaml"
    text = metadata.read_text()
    edited = re.sub(pattern, value, text, flags=re.DOTALL if "qos" in pattern else 0)
    assert edited != text
    metadata.write_text(edited)
    assert door(bag) == 10


def write_compressed(path: Path, mode: str, storage: str) -> Path:
    plugin = rosbag2.StoragePlugin[storage]
    writer = rosbag2.Writer(path, version=9, storage_plugin=plugin)
    writer.set_compression(rosbag2.CompressionMode[mode], rosbag2.CompressionFormat.ZSTD)
    with writer:
        kind = TEN[0].__msgtype__
        connection = writer.add_connection("/image", kind, typestore=STORE)
        for number, item in enumerate(TEN):
            writer.write(connection, number * 10**9, STORE.serialize_cdr(item, kind))
    return path


@doors
@pytest.mark.parametrize(
    ("mode", "storage"),
    [("FILE", "SQLITE3"), ("MESSAGE", "SQLITE3"), ("FILE", "MCAP"), ("MESSAGE", "MCAP"),
     ("STORAGE", "MCAP")],
)  # fmt: skip
@pytest.mark.parametrize("with_metadata", [True, False])
def test_compressed_bags_are_read(mode, storage, with_metadata, door, tmp_path):
    bag = write_compressed(tmp_path / "bag", mode, storage)
    if not with_metadata:
        (bag / "metadata.yaml").unlink()
    assert door(bag) == 10
    (file,) = (path for path in bag.iterdir() if path.name != "metadata.yaml")
    assert door(file) == 10
    assert not list(Path(tempfile.gettempdir()).glob("mtpano-*"))


@doors
def test_upper_case_endings_are_read(door, tmp_path):
    bag = write_bag(tmp_path / "bag", {"/image": TEN}, "MCAP")
    assert door(storage_file(bag).rename(tmp_path / "X.MCAP")) == 10


@doors
@storages
@pytest.mark.parametrize("packed", [False, True])
def test_what_a_storage_file_is_its_bytes_say(storage, packed, door, tmp_path):
    bag = write_compressed(tmp_path / "bag", "FILE" if packed else "MESSAGE", storage)
    (file,) = (path for path in bag.iterdir() if path.name != "metadata.yaml")
    for name in ("a.mcap", "b.db3", "c.DB3", "d.mcap.zst", "e.bag"):
        file = file.rename(tmp_path / name)
        assert door(file) == 10


def sql(bag: Path, command: str) -> None:
    with contextlib.closing(sqlite3.connect(storage_file(bag))) as base, base:
        base.execute(command)


@doors
def test_messages_that_a_killed_recorder_left_in_its_journal_are_told(door, tmp_path, caplog):
    bag = write_bag(tmp_path / "bag", {"/image": TEN})
    sql(bag, "PRAGMA journal_mode=WAL")
    with contextlib.closing(sqlite3.connect(storage_file(bag))) as base:
        base.execute("INSERT INTO messages SELECT id + 10, topic_id, 1, data FROM messages")
        base.commit()
        copy = shutil.copytree(bag, tmp_path / "copy")
    assert door(copy) == 10
    assert caplog.text.count("wal_checkpoint(TRUNCATE)") == 1


@doors
@pytest.mark.parametrize("column", ["data", "timestamp"])
def test_a_database_with_text_for_a_number_is_refused(column, door, tmp_path):
    bag = write_bag(tmp_path / "bag", {"/image": TEN})
    sql(bag, f"UPDATE messages SET {column} = 'text' WHERE id = 3")
    with pytest.raises(MtpanoError, match="it is damaged or cut off"):
        door(bag)


@doors
def test_a_hidden_file_is_no_part_of_a_bag(door, tmp_path, caplog):
    bag = write_bag(tmp_path / "bag", {"/image": TEN})
    (bag / "._bag.db3").write_bytes(b"what macOS leaves")
    assert door(bag) == 10
    assert not caplog.records


@pytest.mark.parametrize("read", [open_source, BagPanoramas])
def test_a_pipe_named_like_a_bag_is_not_waited_for(read, tmp_path):
    os.mkfifo(tmp_path / "x.mcap")
    with pytest.raises(MtpanoError, match="neither a file nor a folder"):
        read(tmp_path / "x.mcap")


@pytest.mark.parametrize("room", ["no folder", "not enough"])
def test_no_room_to_unpack_is_said(room, tmp_path, monkeypatch):
    bag = write_compressed(tmp_path / "bag", "FILE", "MCAP")
    if room == "no folder":
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    else:
        full = lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))  # noqa: E731
        monkeypatch.setattr(tempfile.TemporaryDirectory, "__enter__", full)
    with pytest.raises(MtpanoError, match=r"needs space in .*TMPDIR"):
        find_images(bag)


def damaged(tmp_path: Path, kind: str) -> Path:
    storage = "SQLITE3" if kind.endswith("db3") else "MCAP"
    bag = write_bag(tmp_path / "bag", {"/image": TEN}, storage)
    file = storage_file(bag)
    data = file.read_bytes()
    if kind == "ros1":
        path = tmp_path / "x.bag"
        path.write_bytes(b"#ROSBAG V2.0\n" + bytes(99))
        return path
    file.write_bytes(
        {
            "cut.mcap": data[: len(data) * 2 // 3],
            "cut.db3": data[: len(data) * 2 // 3],
            "profile.mcap": data.replace(b"\x04\0\0\0ros2", b"\x04\0\0\0ros1", 1),
            "jsonschema.mcap": data.replace(b"ros2msg", b"ros2xxx"),
            "empty.mcap": b"",
            "magic.mcap": data[:8],
            "zstd.db3": b"\x28\xb5\x2f\xfd" + bytes(99),
            "empty.db3": b"",
            "text.db3": b"this is no database, and never was one" * 99,
        }[kind]
    )
    return bag


@pytest.mark.parametrize("read", [lambda p: list(open_source(p).frames()), BagPanoramas])
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("ros1", "is a bag of ROS 1: convert it with `rosbags-convert"),
        ("cut.mcap", "was cut off; repair it with `mcap recover"),
        ("cut.db3", r"cut off; repair it with `sqlite3 .*\.recover"),
        ("profile.mcap", "an MCAP of profile 'ros1', expected 'ros2'"),
        ("jsonschema.mcap", "a schema of kind"),
        ("magic.mcap", "was cut off; repair it with `mcap recover"),
        ("zstd.db3", "the compressed file is damaged, copy it again"),
        ("empty.mcap", "it is empty"),
        ("empty.db3", "it is empty"),
        ("text.db3", "neither an MCAP nor a sqlite3 file"),
    ],
)
def test_what_cannot_be_read_gets_its_own_reason_and_remedy(kind, words, read, tmp_path):
    with pytest.raises(MtpanoError, match=words) as caught:
        read(damaged(tmp_path, kind))
    assert "\n" not in str(caught.value)
    if "cut off" not in words:
        assert "recording was cut off" not in str(caught.value)
