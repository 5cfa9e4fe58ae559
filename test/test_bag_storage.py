"""What lies in a bag or in its place: other types, damage, foreign files; no room to unpack."""

from __future__ import annotations

import gzip
import os
import resource
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from bag_doors import TEN, storage_file
from bag_files import STORE, T, raw, rosbag2, write_bag
from odd_pictures import scene
from test_bag_faults import doors, player, storages, write_compressed

from mtpano_model.data.panorama import Skipped
from mtpano_model.data.rosbag import BagPanoramas
from mtpano_model.errors import MtpanoError
from mtpano_model.shots.bag import find_images, read_images
from mtpano_model.shots.shot import open_shots

IMAGE, TEXT = "sensor_msgs/msg/Image", "std_msgs/msg/String"


def predict(path: Path) -> int:
    usable = 0
    for shot in open_shots(path).every:
        try:
            shot.open((64, 128))
        except MtpanoError:
            continue
        usable += 1
    return usable


def label(path: Path) -> int:
    panoramas = BagPanoramas(path)
    assert len(panoramas) >= 0
    return sum(not isinstance(one, Skipped) for one in panoramas.panoramas())


every_door = pytest.mark.parametrize("door", [predict, label, player])


def write_mixed(path: Path, kinds: list[str], storage: str = "MCAP") -> Path:
    """Each message of a name in turn as all of these types."""
    plugin = rosbag2.StoragePlugin[storage]
    with rosbag2.Writer(path, version=9, storage_plugin=plugin) as writer:
        made = {kind: writer.add_connection("/image", kind, typestore=STORE) for kind in kinds}
        for number, item in enumerate(TEN):
            for kind in kinds:
                message = item if kind == IMAGE else T[TEXT]("no picture")
                data = STORE.serialize_cdr(message, kind)
                writer.write(made[kind], (number + 1) * 10**9, data)
    return path


@every_door
@storages
@pytest.mark.parametrize("kinds", [[IMAGE, TEXT], [TEXT, IMAGE]], ids=["first", "last"])
def test_of_a_name_with_two_types_the_pictures_are_taken(kinds, storage, door, tmp_path):
    assert door(write_mixed(tmp_path / "bag", kinds, storage)) == 10


@every_door
@pytest.mark.parametrize("kinds", [[IMAGE, TEXT], [TEXT, IMAGE]], ids=["first", "last"])
def test_so_it_is_where_the_types_are_in_two_files(kinds, door, tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    for number, kind in enumerate(kinds):
        part = write_mixed(tmp_path / f"part{number}", [kind])
        shutil.copy(storage_file(part), whole / f"whole_{number}.mcap")
    assert door(whole) == 10


@every_door
@storages
@pytest.mark.parametrize(
    "data", [b"", b"\0\1", b"\x28\xb5\x2f\xfd" + bytes(50), b"\0\1\0\0" + b"\xff" * 99],
    ids=["empty", "short", "zstd", "bytes"],
)  # fmt: skip
def test_a_damaged_message_costs_one_picture(data, storage, door, tmp_path):
    path, plugin = tmp_path / "bag", rosbag2.StoragePlugin[storage]
    with rosbag2.Writer(path, version=9, storage_plugin=plugin) as writer:
        connection = writer.add_connection("/image", IMAGE, typestore=STORE)
        for number, item in enumerate(TEN):
            told = data if number == 4 else STORE.serialize_cdr(item, IMAGE)
            writer.write(connection, (number + 1) * 10**9, told)
    assert door(path) == 9


@storages
@pytest.mark.parametrize("mode", ["FILE", "MESSAGE"])
def test_a_missing_zstandard_is_named(mode, storage, tmp_path, monkeypatch):
    bag = write_compressed(tmp_path / "bag", mode, storage)

    def missing():
        raise MtpanoError("a compressed bag needs a Zstandard library")

    monkeypatch.setattr("mtpano_model.shots.storage.zstd", missing)
    with pytest.raises(MtpanoError, match="needs a Zstandard library"):
        list(read_images(bag))


def bag_to_unpack(tmp_path: Path, kind: str) -> Path:
    if kind == "packed":
        return write_compressed(tmp_path / "bag", "FILE", "SQLITE3")
    return write_bag(tmp_path / "bag", {"/image": TEN}).rename(tmp_path / "a?b")


@pytest.mark.parametrize("kind", ["packed", "oddly named"])
@pytest.mark.parametrize("name", ["a#b", "100%", "\udcff"])
def test_a_temporary_folder_that_sqlite_cannot_name_is_named(name, kind, tmp_path, monkeypatch):
    folder = tmp_path / name
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    with pytest.raises(MtpanoError, match=r"its name has one of .*TMPDIR"):
        find_images(bag_to_unpack(tmp_path, kind))
    assert not os.listdir(folder)


@pytest.mark.parametrize("kind", ["packed", "oddly named"])
def test_no_temporary_folder_at_all_is_said(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc"])
    with pytest.raises(MtpanoError, match=r"No usable temporary directory .*TMPDIR"):
        find_images(bag_to_unpack(tmp_path, kind))


def test_a_limit_on_the_size_of_files_is_no_damage(tmp_path):
    bag = bag_to_unpack(tmp_path, "packed")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(MtpanoError) as caught:
            find_images(bag)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "TMPDIR" in str(caught.value)
    assert "File too large" in str(caught.value)


def other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("CREATE TABLE poses (x, y)")


@doors
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid x\n"),
            "a pointer of Git LFS; `git lfs pull`",
        ),
        (lambda path: path.write_bytes(gzip.compress(bytes(99))), "it is compressed, but not"),
        (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(99)), "it is compressed, but not"),
        (
            lambda path: path.write_bytes(b"\xff\xd8\xff" + bytes(99)),
            "neither an MCAP nor a sqlite3 file",
        ),
        (other_database, "a database without the tables of rosbag2"),
    ],
    ids=["lfs", "gzip", "zip", "jpeg", "database"],
)
@pytest.mark.parametrize("name", ["x.mcap", "x.db3"])
def test_what_only_claims_to_be_a_bag_is_named(name, make, words, door, tmp_path):
    make(tmp_path / name)
    with pytest.raises(MtpanoError, match=words) as caught:
        door(tmp_path / name)
    # Not the name of a file that nobody has heard of.
    assert tempfile.gettempdir() + "/mtpano" not in str(caught.value)
    assert "recover" not in str(caught.value)


def recount(path: Path, count: int) -> Path:
    """An MCAP file whose statistics claim this number of messages, for all and for its topic."""
    data = bytearray(path.read_bytes())
    place = 8
    while data[place] != 0x0B:  # an opcode, a length, content
        place += 9 + int.from_bytes(data[place + 1 : place + 9], "little")
    length = int.from_bytes(data[place + 1 : place + 9], "little")
    for start in (place + 9, place + 9 + length - 8):
        data[start : start + 8] = count.to_bytes(8, "little")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("count", [0, 3, 2**63])
@every_door
def test_a_number_of_messages_that_is_wrong_changes_nothing(door, count, tmp_path):
    bag = write_bag(tmp_path / "bag", {"/image": TEN}, "MCAP")
    file = recount(storage_file(bag), count)
    assert door(bag) == 10
    assert find_images(file).count == min(count, 2**63 - 1)


def test_pictures_that_came_faster_than_any_camera_s_have_no_rate(tmp_path):
    messages = [raw(scene() // 2, 10**9 + 5 * n) for n in range(10)]
    assert (
        find_images(write_bag(tmp_path / "a", {"/image": messages}, as_stamped=True)).rate is None
    )


def test_only_topics_that_may_be_chosen_are_proposed(tmp_path):
    depth = raw(np.zeros((64, 128, 3), np.uint8))
    depth.encoding = "16UC1"
    bag = write_bag(tmp_path / "bag", {"/a": TEN, "/b": TEN, "/depth": [depth]})
    with pytest.raises(MtpanoError, match=r"--topic: /a \(\S+\), /b \(\S+\)$"):
        find_images(bag)
