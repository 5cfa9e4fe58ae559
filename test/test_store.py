"""A store loses nothing that was added, shows nothing that is half there, and goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from box_rooms import BoxRooms, box_data, quick_config
from store_program import META, members

from mtpano_model.data import pseudo_encoding as encoding
from mtpano_model.data import store as store_module
from mtpano_model.data.pseudo_labelled import PseudoLabelled
from mtpano_model.data.store import Store
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


def check_prefix(root: Path) -> int:
    """All that is readable is the first panoramas, whole; returns how many."""
    store = Store(root)
    assert store.names == [f"p{n}" for n in range(len(store))]
    for n in range(len(store)):
        assert store.read(n) == members(n)
    return len(store)


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


def test_two_writers_keep_apart(tmp_path):
    with StoreWriter(tmp_path, META) as first:
        with pytest.raises(MtpanoError, match="another process writes"):
            StoreWriter(tmp_path, META)
        with StoreWriter(tmp_path, META, worker=1) as second:
            first.add("a", members(0))
            second.add("b", members(1))
    assert Store(tmp_path).names == ["a", "b"]


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


# --- what is in it -------------------------------------------------------------------------------


def some_labels(height: int = 16, patches: int = 3, patch: int = 12) -> encoding.PseudoLabels:
    rng = np.random.default_rng(3)
    shape = (height, 2 * height)
    normals = rng.normal(size=(*shape, 3)).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    normals[:2] = 0
    depth = rng.uniform(0.3, 60, shape).astype(np.float32)
    depth[-1] = 0
    depth[0, 0] = 70
    return encoding.PseudoLabels(
        image=np.full((*shape, 3), 90, np.uint8),
        classes=rng.integers(0, 18, shape, dtype=np.uint8),
        confidence=rng.random(shape, np.float32),
        normals=normals,
        depth=depth,
        patches=rng.uniform(1, 5, (patches, patch, patch)).astype(np.float32),
        views=np.array([[0, 0, 90], [120, 0, 90], [-120, 0, 90]], float)[:patches],
        facts={"note": 1},
    )


def test_losses_of_the_encoding_are_those_it_states():
    labels = some_labels()
    back = encoding.decode(encoding.encode(labels), (16, 32))
    np.testing.assert_array_equal(back.classes, labels.classes)
    assert np.abs(back.confidence - labels.confidence).max() <= 1 / 30 + 1e-6
    kept = (labels.depth > 0) & (labels.depth < 65.5)
    assert np.abs(back.depth - labels.depth)[kept].max() < 0.00051
    assert (back.depth[~kept] == 0).all()
    cosine = (back.normals * labels.normals).sum(-1)[2:]
    assert np.degrees(np.arccos(cosine.clip(-1, 1))).max() < 0.45
    assert (back.normals[:2] == 0).all()
    assert np.abs(back.patches - labels.patches).max() < 0.00051
    assert back.facts == {"note": 1}


def test_noise_makes_patches_smaller_but_never_a_panorama_larger():
    labels = some_labels(height=64, patches=3, patch=192)
    members = encoding.encode(labels, max_bytes=130_000)
    assert sum(map(len, members.values())) <= 130_000
    back = encoding.decode(members, (64, 128))
    assert back.patches.shape[1] in encoding.PATCH_SIZES[1:]


@pytest.fixture
def labelled(tmp_path) -> Path:
    labels = some_labels()
    labels.classes[:, :16], labels.classes[:, 16:] = 3, 4
    labels.patches[:] = np.array([1.0, 2.0, 3.0])[:, None, None]
    with StoreWriter(tmp_path, {**META, "size": [16, 32]}) as writer:
        writer.add("full", encoding.encode(labels))
        labels.classes[:], labels.normals[:], labels.patches[:] = 255, 0, 0
        writer.add("depth only", encoding.encode(labels))
    return tmp_path


def test_samples_carry_what_the_store_has(labelled):
    dataset = PseudoLabelled(labelled)
    full, depth_only = dataset[0], dataset[1]
    assert (full.semseg[:, :16] == 3).all()
    assert (full.semseg[:, 16:] == 4).all()
    assert full.normals_valid[0, 2:].all()
    assert not full.normals_valid[0, :2].any()
    assert full.depth_valid.sum() == 15 * 32 - 1
    assert (depth_only.semseg == 255).all()
    assert not depth_only.normals_valid.any()
    assert depth_only.confidence.max() == 0
    torch.testing.assert_close(depth_only.depth, full.depth)


def test_a_drawn_sample_has_the_depth_of_one_patch_where_that_patch_looked(labelled):
    dataset = PseudoLabelled(labelled, size=(32, 64))
    seen = set()
    for seed in range(20):
        sample = dataset.draw(0, np.random.default_rng(seed))
        value = set(sample.depth[sample.depth_valid].tolist())
        assert len(value) == 1
        seen |= value
        # Patches look ahead, right and left; each is 90 degrees wide, a quarter of the equator.
        centre = {1.0: 32, 2.0: 32 + 64 // 3, 3.0: 32 - 64 // 3}[next(iter(value))]
        row = sample.depth_valid[0, 16]
        assert row.sum() == pytest.approx(16, abs=1)
        assert abs(row.nonzero().float().mean().item() + 0.5 - centre) < 1
    assert seen == {1.0, 2.0, 3.0}
    again = [dataset.draw(0, np.random.default_rng(5)).depth for _ in range(2)]
    torch.testing.assert_close(*again)
    # Without patches there is only the merged map.
    torch.testing.assert_close(dataset.draw(1, np.random.default_rng(0)).depth, dataset[1].depth)


def test_names_and_classes_are_checked(labelled):
    assert PseudoLabelled(labelled, names=["depth only"]).names == ["depth only"]
    with pytest.raises(MtpanoError, match="no panorama 'other'"):
        PseudoLabelled(labelled, names=["other"])
    with pytest.raises(MtpanoError, match="cannot be turned into 'nyu40'"):
        PseudoLabelled(labelled, class_set="nyu40")


def test_a_damaged_picture_names_its_panorama(labelled):
    shard = next(labelled.glob("*.tar"))
    data = bytearray(shard.read_bytes())
    data[512:1500] = bytes(988)
    shard.write_bytes(data)
    with pytest.raises(MtpanoError, match=r"'full'.*is damaged"):
        PseudoLabelled(labelled)[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"jpg": b""}, "it is empty"),
        ({"jpg": None}, "it has no 'jpg'"),
        ({"confidence": None}, "it has no 'confidence'"),
        ({"json": b"[]"}, "list indices"),
        ({"json": b'{"views": []}'}, "out of bounds"),
    ],
)
def test_a_panorama_that_lacks_something_is_named(tmp_path, change, words):
    whole = {**encoding.encode(some_labels()), **change}
    with StoreWriter(tmp_path, {**META, "size": [16, 32]}) as writer:
        writer.add("odd", {kind: data for kind, data in whole.items() if data is not None})
    with pytest.raises(MtpanoError, match=rf"'odd'.*is damaged \(.*{words}.*copy the store again"):
        PseudoLabelled(tmp_path).draw(0, np.random.default_rng(0))
