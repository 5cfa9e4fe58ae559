"""`mtpano label` as a user meets it: folders, bags, data sets, interruptions, bad input."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from bag_files import compressed, write_bag
from box_room import COLORS, write_rooms
from damaged_pictures import oversized_png
from fake_model import write_fake_model

from mtpano_model.classes import load_class_set
from mtpano_model.commands import main
from mtpano_model.data.pseudo_labelled import PseudoLabelled
from mtpano_model.data.store import Store
from mtpano_model.pictures.messages import read_message
from mtpano_model.shots import bag as reading

PICTURES = str(Path(__file__).parents[1] / "docs" / "images")
SMALL = ["--patches", "12", "--patch-size", "64"]


@pytest.fixture
def model(tmp_path) -> str:
    return f"pd-bridgenet:{write_fake_model(tmp_path / 'model.onnx', size=(64, 128))}"


def picture(shade: int) -> np.ndarray:
    return np.full((64, 128, 3), shade, np.uint8)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three good panoramas, one below the other, and five that are none."""
    root = tmp_path / "panos"
    (root / "deeper").mkdir(parents=True)
    for name, shade in [("a.jpg", 40), ("b.png", 80), ("deeper/c.jpg", 120)]:
        cv2.imwrite(str(root / name), picture(shade))
    cv2.imwrite(str(root / "square.png"), np.zeros((64, 64, 3), np.uint8))
    whole = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (64, 128, 3)))[1]
    (root / "cut.jpg").write_bytes(whole.tobytes()[: len(whole) // 2])
    (root / "empty.png").write_bytes(b"")
    (root / "text.png").write_text("no picture")
    (root / "vast.png").write_bytes(oversized_png())
    return root


def label(*arguments: object) -> int:
    return main(["label", *map(str, arguments)])


def test_a_folder_becomes_a_store_and_bad_pictures_are_counted(
    folder, model, tmp_path, capsys, caplog
):
    out = tmp_path / "store"
    assert label("--input", folder, "--teacher", model, "--out", out, "--height", 64) == 0
    assert Store(out).names == ["panos/a.jpg", "panos/b.png", "panos/deeper/c.jpg"]
    assert "3 panoramas labelled, 5 skipped, 3 in the store" in capsys.readouterr().out
    for name, reason in [
        ("square.png", "64x64 (rows x columns), expected an equirectangular 2:1"),
        ("cut.jpg", "cut off"),
        ("empty.png", "empty"),
        ("text.png", "begins like no picture"),
        ("vast.png", "32768x65536"),
    ]:
        assert any(name in m and reason in m for m in caplog.messages), name
    sample = PseudoLabelled(out)[0]
    # The fake model: depth = 1 + red / 64, normals against the ray.
    assert sample.depth.mean().item() == pytest.approx(1 + 40 / 64, abs=0.04)
    assert sample.normals_valid.all()


def test_a_second_run_adds_only_what_is_new(folder, model, tmp_path, capsys):
    out = tmp_path / "store"
    arguments = ("--input", folder, "--teacher", model, "--out", out, "--height", 64)
    assert label(*arguments, "--limit", 1) == 0
    assert len(Store(out)) == 1
    assert label(*arguments, "--limit", 1) == 0
    assert len(Store(out)) == 1
    assert label(*arguments) == 0
    assert "2 panoramas labelled" in capsys.readouterr().out
    assert len(Store(out)) == 3
    assert label(*arguments[:-1], 32) == 1
    assert "made with size [64, 128], now it is [32, 64]" in capsys.readouterr().err


def test_workers_share_the_pictures_and_miss_none(folder, model, tmp_path, capsys):
    out = tmp_path / "store"
    for worker in ("0/2", "1/2"):
        label("--input", folder, "--teacher", model, "--out", out, "--height", 64,
              "--worker", worker)  # fmt: skip
        done, total = re.findall(r"(\d+)/(\d+) panoramas", capsys.readouterr().err)[-1]
        assert done == total
    assert sorted(Store(out).names) == ["panos/a.jpg", "panos/b.png", "panos/deeper/c.jpg"]


def test_a_bag_becomes_a_store(model, tmp_path, capsys):
    bag = write_bag(
        tmp_path / "bag",
        {"/camera": [compressed(picture(s), 5_000_000_000 + s) for s in (30, 60, 90, 120)]},
    )
    out = tmp_path / "store"
    arguments = ("--input", bag, "--teacher", model, "--out", out, "--height", 64)
    assert label(*arguments, "--every", 2) == 0
    assert Store(out).names == ["bag/5000000030", "bag/5000000090"]
    assert label(*arguments, "--topic", "/other") == 1
    error = capsys.readouterr().err
    assert "no image topic '/other'" in error
    assert "/camera" in error


def test_damaged_and_repeated_pictures_of_a_bag_are_counted_and_shift_nothing(
    model, tmp_path, capsys, caplog, monkeypatch
):
    pictures = [compressed(picture(40), 5_000_000_000 + n) for n in (0, 1, 2, 3, 2, 5, 6)]
    pictures[2].data = pictures[2].data[:20]
    pictures[6].header.stamp = pictures[0].header.stamp
    bag = write_bag(tmp_path / "bag", {"/camera": pictures})
    decoded = []
    monkeypatch.setattr(
        reading, "read_message", lambda m, allow: decoded.append(m) or read_message(m, allow)
    )
    arguments = ("--teacher", model, "--out", tmp_path / "store", "--height", 64, "--every", 2)
    assert label("--input", bag, *arguments) == 0
    assert Store(tmp_path / "store").names == ["bag/5000000000", "bag/5000000002"]
    assert "2 panoramas labelled, 2 skipped" in capsys.readouterr().out
    assert any("bag/5000000002" in m and "cut off" in m for m in caplog.messages)
    assert any("bag/5000000000" in m and "the same stamp" in m for m in caplog.messages)
    assert len(decoded) == 3  # what is not wanted, and what was there before, is never decoded
    monkeypatch.chdir(bag)
    for place in (".", "bag.db3", bag / "bag.db3"):  # one bag, one name
        assert label("--input", place, *arguments) == 0
        assert "0 panoramas labelled" in capsys.readouterr().out


def test_the_oracle_on_rooms_writes_how_good_the_labels_are(tmp_path, capsys):
    root, out = write_rooms(tmp_path / "rooms"), tmp_path / "store"
    arguments = ("--data", "rooms", "--root", root, "--teacher", "oracle", "--patches", "32",
                 "--patch-size", "128")  # fmt: skip
    assert label(*arguments, "--out", out, "--preview") == 0
    quality = json.loads((out / "label_quality.json").read_text())
    assert quality["panoramas"] == 2
    assert quality["depth_abs_rel"] < 0.005
    assert quality["normals_mean_deg"] < 1
    assert quality["class_agreement"] > 0.99
    assert quality["coverage"] >= 0.95
    assert quality["coverage_class"] >= 0.99
    assert all(isinstance(value, int | float) for value in quality.values())
    assert Store(out).size == (64, 128)
    assert cv2.imread(str(out / "preview" / "000001.png")).shape[1] == 1600
    drifting = tmp_path / "drifting"
    assert label(*arguments, "--out", drifting, "--teacher-scale-drift", 0.2) == 0
    quality = json.loads((drifting / "label_quality.json").read_text())
    assert quality["depth_abs_rel"] == quality["depth_abs_rel_aligned"] < 0.02
    sample = PseudoLabelled(out)[0]
    names = load_class_set("indoor18").names
    floor = (sample.semseg == names.index("floor")).numpy()
    shown = sample.image.permute(1, 2, 0).numpy()[floor].mean(0)
    np.testing.assert_allclose(shown, COLORS[3], atol=6)


def test_a_damaged_frame_of_a_data_set_is_skipped_and_counted(tmp_path, capsys, caplog):
    root = write_rooms(tmp_path / "rooms", count=3)
    depth = root / "000000_depth.png"
    depth.write_bytes(depth.read_bytes()[:-30])
    arguments = ("--data", "rooms", "--root", root, "--teacher", "oracle", *SMALL)
    assert label(*arguments, "--out", tmp_path / "store") == 0
    assert "2 panoramas labelled, 1 skipped, 2 in the store" in capsys.readouterr().out
    assert any("000000_depth.png" in m and "cut off" in m for m in caplog.messages)
    quality = json.loads((tmp_path / "store" / "label_quality.json").read_text())
    assert quality["panoramas"] == 2


def test_killed_and_run_again_it_has_every_panorama_once(tmp_path):
    root, out = write_rooms(tmp_path / "rooms", count=12), tmp_path / "store"
    command = [
        sys.executable, "-m", "mtpano_model", "label", "--data", "rooms", "--root", str(root),
        "--teacher", "oracle", "--out", str(out), *SMALL,
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (out / "store.json").exists():
        pass
    while process.poll() is None and len(Store(out)) < 2:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = Store(out).names
    assert 2 <= len(before) < 12
    assert label(*command[4:]) == 0
    assert Store(out).names == [f"{n:06d}" for n in range(12)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either --input, or --data with --root"),
        (["--input", "nowhere"], "'nowhere' does not exist"),
        (["--data", "rooms"], "--data rooms needs --root"),
        (["--input", "x", "--data", "rooms"], "give either --input, or --data"),
        (["--input", "x", "--worker", "2/2"], "worker '2/2' is not a share"),
        (["--input", "x", "--worker", "²/3"], "worker '²/3' is not a share"),
        (["--input", "x", "--worker", "0/" + "9" * 5000], "is not a share"),
        (["--input", "x", "--limit", "0"], "--limit 0: expected 1 to "),
        (["--input", "x", "--threads", "0"], "--threads 0: expected 1 to 1024"),
        (["--input", "x", "--root", "y"], "give it with --data, not --input"),
        (["--input", ".", "--every", "2"], "--topic and --every choose among a bag's pictures"),
        (["--data", "rooms", "--root", "y", "--topic", "/a"], "and rooms is not a bag"),
        (["--input", PICTURES, "--device", "foo"], "device 'foo' is not here: expected auto"),
        (
            ["--input", PICTURES, "--device", "cuda:99"],
            "device 'cuda:99' is not here: expected auto",
        ),
        (["--input", PICTURES, "--height", "2050"], "expected an even number from 16 to 2048"),
        (["--input", PICTURES, "--patch-size", "100000000"], "at least one of 8 to 4096"),
        (["--input", PICTURES, "--teacher-scale-drift", "nan"], "nan: expected 0 to 10"),
        (["--input", PICTURES, "--batch", "0"], "batches of 0 patches: expected 1 or more"),
    ],
)
def test_wrong_arguments_are_one_sentence(tmp_path, capsys, arguments, message):
    assert label("--teacher", "oracle", "--out", tmp_path / "out", *arguments) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1


def test_a_place_that_cannot_be_written_is_told(folder, model, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert label("--input", folder, "--teacher", model, "--out", tmp_path / "file" / "store") == 1
    assert "cannot write to the store" in capsys.readouterr().err


def test_nothing_usable_is_an_error_with_the_reason(tmp_path, model, capsys):
    (tmp_path / "panos").mkdir()
    cv2.imwrite(str(tmp_path / "panos" / "square.png"), np.zeros((64, 64, 3), np.uint8))
    assert label("--input", tmp_path / "panos", "--teacher", model, "--out", tmp_path / "o") == 1
    assert "no panorama could be labelled ('panos/square.png': the image is 64x64" in (
        capsys.readouterr().err
    )
