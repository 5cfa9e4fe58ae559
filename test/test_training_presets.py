"""Every training preset runs two steps of a small network, on a tree in its data set's layout."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from public_trees import Room, write_matterport3d, write_stanford2d3d, write_structured3d
from test_rooms_dataset import write_room

from mtpano_model.commands import main
from mtpano_model.data import pseudo_encoding
from mtpano_model.data.rooms import is_validation_room
from mtpano_model.data.sources import open_frames
from mtpano_model.data.store_writer import StoreWriter
from mtpano_model.errors import MtpanoError
from mtpano_model.network import PDBridgeNet, preset
from mtpano_model.network.pretrained import from_pretrained, save_pretrained
from mtpano_model.training.checkpoint import best_weights
from mtpano_model.training.presets import PRESETS, training_preset

HELD_OUT = next(room for room in range(100) if is_validation_room(room))


def write_rooms(root: Path) -> None:
    for room in (HELD_OUT, HELD_OUT + 1, HELD_OUT + 2):
        write_room(root, f"{3 * room:06d}", room)


def write_structured(root: Path) -> None:
    for scene in ("00001", "00002", "03000"):
        write_structured3d(root, scene, Room())


def write_stanford(root: Path) -> None:
    for area in ("area_1", "area_5a"):
        write_stanford2d3d(root, area, Room())


def write_matterport(root: Path) -> None:
    for scan in ("17DRP5sb8fy", "2azQ1b91cZZ"):
        write_matterport3d(root, scan, "a", Room())


def write_store(
    root: Path,
    numbers: Iterable[int] = range(3),
    worker: int = 0,
    class_set: str = "indoor18",
) -> None:
    """Panoramas of a box room; the second has classes alone, as offline segmenters give."""
    room = Room()
    views = np.array([[0.0, 0.0, 90.0], [120.0, 10.0, 100.0]])
    meta = {"class_set": class_set, "size": [32, 64], "labels": {}}
    with StoreWriter(root, meta, worker) as writer:
        for number in numbers:
            known = number != 1
            labels = pseudo_encoding.PseudoLabels(
                image=room.rgb,
                classes=np.where(room.nyu == 1, 0, 1).astype(np.uint8),
                confidence=np.full(room.depth.shape, 0.8, np.float32),
                normals=(room.normals * known).astype(np.float32),
                depth=(room.depth * known).astype(np.float32),
                patches=np.full((2, 24, 24), 2.0 * known, np.float32),
                views=views,
                facts={},
            )
            writer.add(f"p{number}", pseudo_encoding.encode(labels))


TREES = {
    "rooms": write_rooms,
    "structured3d": write_structured,
    "stanford2d3d": write_stanford,
    "matterport3d": write_matterport,
    "store": write_store,
}
STEPS = (
    "stages=[{height: 32, width: 64, steps: 1, batch: 2, learn: heads},"
    " {height: 32, width: 64, steps: 2, batch: 2}]"
)


def arguments(name: str, root: Path, out: Path, *more: str) -> list[str]:
    return [
        "train",
        *("--preset", name, "--data-root", str(root), "--out", str(out), "--workers", "0"),
        *("--set", STEPS, "precision=32-true", "parallel.accelerator=cpu", "log_every=1", *more),
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_two_steps_of_every_preset(name: str, tmp_path: Path) -> None:
    config = training_preset(name)
    root, out = tmp_path / "data", tmp_path / "run"
    root.mkdir()
    if config.data == "store":
        write_store(root, class_set=config.class_set or "indoor18")
    else:
        TREES[config.data](root)
    if config.network:
        more = ["network=nano"]
    else:
        torch.manual_seed(0)
        save_pretrained(PDBridgeNet(preset("nano")), tmp_path / "start")
        more = []
    command = arguments(name, root, out, *more)
    if not config.network:
        command += ["--init", str(tmp_path / "start.safetensors")]
    assert main(command) == 0
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    losses = [line["total"] for line in lines if "total" in line]
    assert len(losses) == 3
    assert np.isfinite(losses).all()
    assert any("val.depth.abs_rel" in line for line in lines)
    net = from_pretrained(best_weights(out))
    assert net.config.class_set == (config.class_set or "indoor18")


def test_a_second_data_set_joins_in(tmp_path: Path) -> None:
    rooms, store = tmp_path / "rooms", tmp_path / "store"
    rooms.mkdir()
    write_rooms(rooms)
    write_store(store)
    command = arguments("rooms_small", rooms, tmp_path / "run", "network=nano")
    assert main([*command, "--also", f"store:0.5:{store}"]) == 0


def test_resuming_takes_moved_data_but_no_other(tmp_path: Path, capsys) -> None:
    store, moved, start = tmp_path / "store", tmp_path / "moved", tmp_path / "start.safetensors"
    write_store(store)
    save_pretrained(PDBridgeNet(preset("nano")), start)
    run = tmp_path / "run"
    more = ["--also", f"store:0.5:{store}", "--init", str(start)]
    assert main([*arguments("finetune_bag", store, run), *more]) == 0
    first_line, *settings = (run / "config.yaml").read_text().splitlines()
    assert first_line == f"# --data-root {store} {' '.join(more)}"
    assert settings[0] == "preset: finetune_bag"
    store.rename(moved)
    start.rename(tmp_path / "moved.safetensors")
    start.with_suffix(".json").rename(tmp_path / "moved.json")
    again = [*arguments("finetune_bag", moved, run), "--resume"]
    init = ["--init", str(tmp_path / "moved.safetensors")]
    also = ["--also", f"store:0.5:{moved}"]
    assert main([*again, *also, *init]) == 0
    assert main([*again, *init]) == 1
    assert "--also = 0.5 of 2 frames" in capsys.readouterr().err
    save_pretrained(PDBridgeNet(preset("nano")), start)
    assert main([*again, *also, "--init", str(start)]) == 1
    assert "was trained with --init = weights" in capsys.readouterr().err
    write_store(moved, [7, 8])
    assert main([*again, *init]) == 1
    assert "was trained with --data-root = 2 frames" in capsys.readouterr().err


def test_a_wrong_second_data_set_is_named(tmp_path: Path, capsys) -> None:
    rooms = tmp_path / "rooms"
    rooms.mkdir()
    write_rooms(rooms)
    command = arguments("rooms_small", rooms, tmp_path / "run", "network=nano")
    assert main([*command, "--also", f"store:1.5:{rooms}"]) == 1
    assert "a share of the stream between 0 and 1" in capsys.readouterr().err
    halves = [f"store:0.5:{rooms}", f"rooms:0.5:{rooms}"]
    assert main([*command, "--also", *halves]) == 1
    assert "the shares of --also sum to 1: expected less than 1" in capsys.readouterr().err
    (tmp_path / "file").touch()
    inside = arguments("rooms_small", rooms, tmp_path / "file" / "run", "network=nano")
    assert main(inside) == 1
    assert "cannot be written (Not a directory): give an --out" in capsys.readouterr().err
    assert main([*command, "--set", "losses.dise=0"]) == 1
    assert "did you mean 'dice'?" in capsys.readouterr().err


def test_a_store_holds_out_its_last_panoramas(tmp_path: Path) -> None:
    write_store(tmp_path)
    assert open_frames("store", tmp_path, "train").names == ["p0", "p1"]
    assert open_frames("store", tmp_path, "val").names == ["p2"]
    shared = tmp_path / "shared"  # as two workers may share a drive
    write_store(shared, range(1, 21, 2), worker=0)
    write_store(shared, range(0, 20, 2), worker=1)
    assert open_frames("store", shared, "val").names == ["p18", "p19"]
    with pytest.raises(MtpanoError, match="unknown data set 'roms'"):
        open_frames("roms", tmp_path, "train")
