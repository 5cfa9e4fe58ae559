"""runs/*.sh: every published result's pipeline, at its --dry size, to its end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from box_room import write_rooms
from fake_model import write_fake_model
from networks import seeded, tiny
from public_trees import Room, write_stanford2d3d, write_structured3d

from mtpano_model.network.pretrained import save_pretrained

ROOT = Path(__file__).parents[1]
RUNS = sorted((ROOT / "runs").glob("*.sh"))


def run(script: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", ROOT / "runs" / script, *map(str, arguments)],
        env=os.environ
        | {"MTPANO": f"{sys.executable} -m mtpano_model", "PYTHONPATH": str(ROOT)}
        | environment,
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip


@pytest.mark.slow
def test_rooms_become_a_model_and_its_report(tmp_path):
    root = write_rooms(tmp_path / "rooms", count=16)  # 15 is the first that is held out
    done = run("rooms_default.sh", "--dry", root, tmp_path / "out")
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "out" / "model.onnx").is_file()
    assert (tmp_path / "out" / "report" / "metrics.json").is_file()


@pytest.mark.slow
def test_panoramas_become_labels_and_a_network(tmp_path):
    (tmp_path / "panos").mkdir()
    for n in range(6):
        picture = np.random.default_rng(n).integers(0, 255, (64, 128, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "panos" / f"{n}.png"), picture)
    model = write_fake_model(tmp_path / "model.onnx", size=(64, 128))
    arguments = ("label_free.sh", "--dry", tmp_path / "panos", tmp_path / "out")
    for _ in range(2):  # the second run finds all done
        done = run(*arguments, TEACHERS=f"pd-bridgenet:{model}")
        assert done.returncode == 0, done.stderr[-2000:]
    assert "6 done, 0 running, 0 lost, 0 failed, 0 waiting; 6 panoramas" in done.stdout
    assert list((tmp_path / "out" / "run").glob("checkpoints/*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "figures"), [("structured3d", "75.66"), ("stanford2d3d", "69.47")]
)
def test_ground_truth_is_fine_tuned_on_and_the_paper_stands_beside(tmp_path, data, figures):
    root = tmp_path / "data"
    if data == "structured3d":
        for scene in ("00001", "00002", "03000"):
            write_structured3d(root, scene, Room())
    else:
        for area in ("area_1", "area_5a"):
            write_stanford2d3d(root, area, Room())
    save_pretrained(seeded(tiny("nano")), tmp_path / "start.safetensors")
    done = run("paper_tables.sh", "--dry", data, root, tmp_path / "start.safetensors",
               tmp_path / "out")  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"paper (mIoU / AbsRel / RMSE / normals): {figures}" in done.stdout
    assert (tmp_path / "out" / "report" / "metrics.json").is_file()


@pytest.mark.parametrize("script", RUNS, ids=lambda path: path.name)
def test_without_arguments_it_says_how_to_use_it(script):
    done = subprocess.run(["bash", script], capture_output=True, text=True)
    assert done.returncode == 2
    assert f"runs/{script.name} --dry" in done.stderr


def test_an_unknown_data_set_is_one_sentence(tmp_path):
    done = run("paper_tables.sh", "kitti", tmp_path, tmp_path, tmp_path)
    assert done.returncode == 2
    assert "expected structured3d or stanford2d3d" in done.stderr
