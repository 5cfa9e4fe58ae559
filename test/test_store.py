"""A store loses nothing that was added, shows nothing that is half there, and goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from box_rooms import BoxRooms, box_data, quick_config
from store_prefix import check_prefix
from store_program import META, members

from mtpano_model.data import store
from mtpano_model.data.store import Store, StoreNames
from mtpano_model.data.store_writer import StoreWriter
from mtpano_model.errors import MtpanoError
from mtpano_model.training.origin import origin_of

TEST = Path(__file__).parent


def run_writer(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(TEST / "store_program.py"), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(TEST.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_what_was_added_is_read_back_whole_or_in_part(tmp_path):
    with StoreWriter(tmp_path, META, shard_bytes=5000) as writer:
        for n in range(7):
            writer.add(f"p{n}", members(n))
            assert check_prefix(tmp_path) == n + 1  # readable while it grows
    store = Store(tmp_path)
    assert len(list(tmp_path.glob("*.tar"))) > 1
    assert store.names == [f"p{n}" for n in range(7)]
    assert store.read(3, ["depth", "no such kind"]) == {"depth": members(3)["depth"]}
    assert not list(tmp_path.glob("*.part"))


def test_shards_are_plain_tar_files_that_webdataset_reads(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    with StoreWriter(tmp_path, META) as writer:
        for n in range(3):
            writer.add(f"p{n}", members(n))
    shard = next(tmp_path.glob("*.tar"))
    samples = list(webdataset.WebDataset(str(shard), shardshuffle=False))
    assert [s["jpg"] for s in samples] == [members(n)["jpg"] for n in range(3)]
    assert samples[1]["depth.png"] == members(1)["depth"]


def test_writing_again_adds_only_what_is_missing(tmp_path):
    for count in (2, 2, 5):
        run_writer(tmp_path, count, 1 << 20).communicate()
    assert check_prefix(tmp_path) == 5


def test_cut_at_any_byte_it_keeps_what_was_whole_and_goes_on(tmp_path):
    whole = tmp_path / "whole"
    writer = StoreWriter(whole, META)
    for n in range(3):
        writer.add(f"p{n}", members(n))
    tar, index = next(whole.glob("*.part")), next(whole.glob("*.jsonl"))
    line_ends = np.cumsum([len(line) + 1 for line in index.read_bytes().split(b"\n")[:-1]])
    # The index is cut anywhere; of the shard at least what the index tells of is on the disk.
    rng = np.random.default_rng(0)
    cuts = {0, *line_ends, *(line_ends - 1), *rng.integers(0, line_ends[-1], 6)}
    for cut in sorted(int(c) for c in cuts):
        complete = int((line_ends <= cut).sum())
        least = [0, *(p.end for p in Store._whole(index))][complete]
        copy = tmp_path / "copy"
        shutil.copytree(whole, copy)
        (copy / index.name).write_bytes(index.read_bytes()[:cut])
        torn = int(rng.integers(least, tar.stat().st_size + 1))
        (copy / tar.name).write_bytes(tar.read_bytes()[:torn])
        assert check_prefix(copy) == complete
        with StoreWriter(copy, META) as again:
            assert again.names == {f"p{n}" for n in range(complete)}
            for n in range(complete, 4):
                again.add(f"p{n}", members(n))
        assert check_prefix(copy) == 4
        shutil.rmtree(copy)


def test_a_killed_writer_leaves_the_same_store_as_one_that_was_not(tmp_path):
    root, count, ends = tmp_path / "killed", 200, []
    for lines in (1, 5, 9):
        process = run_writer(root, count, 60_000)
        for _ in range(lines):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        ends.append(process.returncode)
        check_prefix(root)
    assert -signal.SIGKILL in ends
    for folder in (root, tmp_path / "calm"):
        run_writer(folder, count, 60_000).communicate()
    for file in (tmp_path / "calm").glob("shard-*"):
        assert (root / file.name).read_bytes() == file.read_bytes()


def test_a_full_disk_is_one_clear_error_and_nothing_half_there(tmp_path):
    process = run_writer(tmp_path, 50, 1 << 20, 20_000)
    errors = process.communicate()[1]
    assert process.returncode == 1
    told = [line for line in errors.splitlines() if line.startswith("mtpano_model.errors")]
    assert "is full" in told[0]
    whole = check_prefix(tmp_path)
    assert f"the {whole} panoramas in the store are safe" in told[0]
    run_writer(tmp_path, 50, 1 << 20).communicate()
    assert check_prefix(tmp_path) == 50


def test_a_panorama_is_named_only_once_its_bytes_are_on_the_disk(tmp_path, monkeypatch):
    """A power cut may lose whatever has not been synchronised, in any order."""
    with StoreWriter(tmp_path, META) as writer:
        synchronised, sync = [], os.fsync

        def fsync(descriptor: int) -> None:
            sync(descriptor)
            named = [path.stat().st_size for path in tmp_path.glob("*.jsonl")]
            synchronised.append((Path(f"/proc/self/fd/{descriptor}").resolve().suffix, *named))

        writer.add("p0", members(0))  # which makes the files
        (begin,) = [path.stat().st_size for path in tmp_path.glob("*.jsonl")]
        monkeypatch.setattr(os, "fsync", fsync)
        writer.add("p1", members(1))
        (end,) = [path.stat().st_size for path in tmp_path.glob("*.jsonl")]
        monkeypatch.undo()
    assert synchronised == [(".part", begin), (".jsonl", end)]
    assert end > begin


def test_two_writers_keep_apart(tmp_path):
    with StoreWriter(tmp_path, META) as first:
        with pytest.raises(MtpanoError, match="another process writes"):
            StoreWriter(tmp_path, META)
        with StoreWriter(tmp_path, META, worker=1) as second:
            first.add("a", members(0))
            second.add("b", members(1))
    assert Store(tmp_path).names == ["a", "b"]


def test_names_that_are_kept_over_many_writers_are_read_once(tmp_path, monkeypatch):
    names, read = StoreNames(tmp_path), []
    index = store.read_index
    monkeypatch.setattr(store, "read_index", lambda path: read.append(path.name) or index(path))
    for worker in range(4):
        with StoreWriter(tmp_path, META, worker, names=names) as writer:
            assert len(writer.names) == worker
            writer.add(f"room/{worker}", members(worker))
    assert sorted(read) == [f"shard-{worker}-000000.jsonl" for worker in range(3)]
    names.refresh()
    assert [names.held_by(worker) for worker in range(5)] == [1, 1, 1, 1, 0]


def test_another_description_is_refused(tmp_path):
    with StoreWriter(tmp_path, META) as writer:
        writer.add("p0", members(0))
    with pytest.raises(MtpanoError, match="made with class_set indoor18, now it is nyu40"):
        StoreWriter(tmp_path, {**META, "class_set": "nyu40"})
    with pytest.raises(MtpanoError, match=r"made with labels.seed None, now it is 1: use"):
        StoreWriter(tmp_path, {**META, "labels": {**META["labels"], "seed": 1}})


def test_until_it_holds_something_a_store_takes_another_description(tmp_path):
    wanted = {**META, "class_set": "nyu40"}
    StoreWriter(tmp_path, META).close()
    early = StoreWriter(tmp_path, META, worker=1)
    with StoreWriter(tmp_path, wanted) as writer:
        writer.add("p0", members(0))
    assert Store(tmp_path).class_set == "nyu40"
    with pytest.raises(MtpanoError, match="made with class_set nyu40, now it is indoor18"):
        early.add("p1", members(1))


def test_a_name_that_is_not_utf_8_is_kept(tmp_path):
    name = os.fsdecode(b"caf\xe9.jpg")
    with StoreWriter(tmp_path, META) as writer:
        writer.add(name, members(0))
    assert Store(tmp_path).names == [name]


def test_a_run_on_names_that_are_not_utf_8_knows_its_frames(tmp_path):
    data = box_data()
    odd = [os.fsdecode(b"caf\xe9"), "\ud800", "plain"]

    def frames(size):
        room = BoxRooms(3, size)
        room.names = odd
        return room

    first = origin_of(quick_config(), replace(data, train=frames), None)
    odd[0] = "cafe"
    second = origin_of(quick_config(), replace(data, train=frames), None)
    assert first["--data-root"] != second["--data-root"]
