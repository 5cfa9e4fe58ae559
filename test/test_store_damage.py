"""A store that is damaged, half copied or written meanwhile: told, and the rest is read."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from store_prefix import check_prefix
from store_program import META, members

from mtpano_model.data import store as store_module
from mtpano_model.data.store import Store
from mtpano_model.data.store_writer import StoreWriter
from mtpano_model.errors import MtpanoError


def test_no_store_and_half_copied_ones_say_so(tmp_path, caplog):
    with pytest.raises(MtpanoError, match="no label store"):
        Store(tmp_path)
    with StoreWriter(tmp_path, META) as writer:
        for n in range(3):
            writer.add(f"p{n}", members(n))
    shard = next(tmp_path.glob("*.tar"))
    shard.write_bytes(shard.read_bytes()[:4000])
    assert check_prefix(tmp_path) == 1
    assert "2 of its 3 panoramas are skipped" in caplog.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "holds no JSON object but list"),
        ('{"format": 1, "size": [8, 16], "labels": {}}', "class_set None, expected a name"),
        ('{"format": 1, "class_set": "indoor18", "size": 5}', "size 5, expected \\[rows, columns"),
        ('{"format": 1, "class_set": "a", "size": [8, 16], "labels": 3}', "labels 3, expected"),
        ('{"format": 2}', "has format 2: this version reads 1"),
        ("{", "is damaged"),
        ("[" * 100_000, "nests too deeply"),
        (
            '{"format": 1, "class_set": "a", "size": [1000000000, 2000000000]}',
            "up to \\[2048, 4096",
        ),
        ('{"format": 1, "class_set": "a", "size": [0, 16]}', "expected \\[rows, columns"),
        ('{"format": 1, "class_set": "a", "size": [8, Infinity]}', "expected \\[rows, columns"),
        ("9" * 5000, "is damaged"),
        ("\x00", "is damaged"),
    ],
)
def test_a_damaged_description_is_one_sentence(tmp_path, text, words):
    (tmp_path / "store.json").write_text(text)
    with pytest.raises(MtpanoError, match=words):
        Store(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"offset": "x"},
        {"offset": -1},
        {"sizes": [1]},
        {"sizes": {"jpg": None}},
        {"sizes": {"jpg": 2_200_000_000}},
        {"sizes": {"jpg": 1 << 200}},
        {"name": 3},
    ],
)
def test_a_damaged_line_of_an_index_ends_it_and_is_told(tmp_path, caplog, change):
    with StoreWriter(tmp_path, META) as writer:
        for n in range(3):
            writer.add(f"p{n}", members(n))
    index = next(tmp_path.glob("*.jsonl"))
    lines = index.read_text().splitlines()
    lines[1] = json.dumps({**json.loads(lines[1]), **change})
    index.write_text("\n".join(lines) + "\n")
    assert check_prefix(tmp_path) == 1
    assert "line 2 of" in caplog.text


def test_a_line_that_nests_too_deeply_ends_its_index(tmp_path, caplog):
    with StoreWriter(tmp_path, META) as writer:
        writer.add("p0", members(0))
    with next(tmp_path.glob("*.jsonl")).open("a") as index:
        index.write("[" * 100_000 + "\n")
    assert check_prefix(tmp_path) == 1
    assert "line 2 of" in caplog.text


def test_a_member_of_two_gigabytes_is_no_panorama(tmp_path, caplog):
    with StoreWriter(tmp_path, META) as writer:
        writer.add("p0", members(0))
    line = {"name": "huge", "offset": 0, "sizes": {"jpg": 2_200_000_000}}
    (tmp_path / "shard-9-000000.jsonl").write_text(json.dumps(line) + "\n")
    with (tmp_path / "shard-9-000000.tar").open("wb") as sparse:
        sparse.truncate(3_000_000_000)
    assert check_prefix(tmp_path) == 1
    assert "line 1 of" in caplog.text


def _folder(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _closed(path: Path) -> None:
    path.write_text("x")
    path.chmod(0)


@pytest.mark.parametrize("make", [_folder, _loop, os.mkfifo, _closed])
@pytest.mark.parametrize("name", ["shard-9-000000.jsonl", "shard-9-000000.tar", "store.json"])
def test_what_is_no_file_is_skipped_or_told_and_never_waited_for(tmp_path, caplog, make, name):
    if make is _closed and os.geteuid() == 0:
        pytest.skip("root may read everything")
    with StoreWriter(tmp_path, META) as writer:
        writer.add("p0", members(0))
    if name == "store.json":
        (tmp_path / name).unlink()
        make(tmp_path / name)
        with pytest.raises(MtpanoError, match="cannot be read"):
            Store(tmp_path)
        return
    if name.endswith(".tar"):
        shutil.copy(tmp_path / "shard-0-000000.jsonl", tmp_path / "shard-9-000000.jsonl")
    make(tmp_path / name)
    assert check_prefix(tmp_path) == 1
    assert "shard-9-000000" in caplog.text
    with StoreWriter(tmp_path, META) as writer:  # another worker's damage stops nobody
        writer.add("p1", members(1))
        assert writer.held() >= 2


@pytest.mark.parametrize("moment", ["opened", "read"])
def test_a_shard_that_is_finished_while_it_is_opened_is_found(tmp_path, monkeypatch, moment):
    writer = StoreWriter(tmp_path, META)
    writer.add("p0", members(0))
    store = Store(tmp_path) if moment == "read" else None
    opened = store_module.open_regular

    def finished_between(path):
        try:
            return opened(path)
        except FileNotFoundError:  # the growing shard is not looked for yet
            writer.finish_shard()
            raise

    monkeypatch.setattr(store_module, "open_regular", finished_between)
    if store is None:
        assert Store(tmp_path).names == ["p0"]
    else:
        assert store.read(0) == members(0)
    assert not list(tmp_path.glob("*.part"))  # it was finished meanwhile


def test_a_writer_claims_no_panorama_whose_bytes_are_gone(tmp_path):
    writer = StoreWriter(tmp_path, META)
    for n in range(3):
        writer.add(f"p{n}", members(n))
    del writer
    part = next(tmp_path.glob("*.part"))
    part.write_bytes(part.read_bytes()[:4000])
    with StoreWriter(tmp_path, META) as again:
        assert again.names == {"p0"}
        again.add("p1", members(1))
    assert check_prefix(tmp_path) == 2
