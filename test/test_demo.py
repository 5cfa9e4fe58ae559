"""`./run demo` as a user meets it: three processes, real DDS, files to look at, nothing left."""

from __future__ import annotations

import json
import os
import signal
import time
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")
from fake_model import write_fake_model
from processes import running

from mtpano_ros.tools.demo import main

DEMO = "mtpano_ros.tools.demo"
OUTPUTS = {
    "depth", "normals", "semantic", "points", "camera_info",
    "depth/color", "normals/color", "semantic/color",
}  # fmt: skip
STAGES = {"transport", "preprocess", "inference", "postprocess", "publish", "end_to_end"}


@pytest.fixture
def model(tmp_path):
    return write_fake_model(tmp_path / "fake.onnx")


@pytest.fixture
def pictures(tmp_path):
    """Six small panoramas."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
        rgb = rng.integers(0, 256, (64, 128, 3), dtype=np.uint8)
        assert cv2.imwrite(str(folder / f"{number}.png"), rgb)
    return folder


def children_of(pid: int) -> dict[str, int]:
    """Executable -> process id of the demo's children."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        if b"mtpano_ros.start" in command:
            found[command[command.index(b"mtpano_ros.start") + 1].decode()] = int(child)
    return found


def gone(pids, timeout: float = 15.0) -> bool:
    deadline = time.monotonic() + timeout
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_the_demo_counts_every_panorama_and_leaves_files_to_look_at(model, pictures, tmp_path):
    out = tmp_path / "out"
    with running(
        DEMO, "--out", out, "--input", pictures, "--frames", 6, "--rate", 4, "--model", model
    ) as demo:
        assert demo.wait(120) == 0, demo.output
    summary = json.loads((out / "summary.json").read_text())
    assert summary["sent"] == 6
    assert summary["sent"] == summary["processed"] + summary["dropped"]
    for topic in OUTPUTS:
        assert summary["received"][topic] == summary["processed"], topic
    assert set(summary["latency_ms"]) >= STAGES
    for stage, times in summary["latency_ms"].items():
        assert 0 <= times["median"] <= times["p95"], stage
    assert summary["latency_ms"]["end_to_end"]["median"] > 0
    assert summary["backend"] in ("openvino", "onnxruntime")
    assert "fake" in summary["model"]
    panels = sorted(out.glob("panel_*.png"))
    assert len(panels) == summary["complete"]
    assert cv2.imread(str(panels[0])) is not None
    assert (out / "cloud_000.pcd").read_bytes().startswith(b"# .PCD")
    assert str(out) in demo.output


@pytest.mark.slow
def test_the_rig_s_demo_shows_the_same_clouds(model, tmp_path):
    """With the fake model depth is a colour: fisheyes show what the panorama shows."""
    forms = {"stitched", "raw"} | ({"h264"} if find_spec("av") else set())
    out = tmp_path / "out"
    with running(DEMO, "--rig", "--out", out, "--frames", 5, "--rate", 4, "--model", model) as demo:
        assert demo.wait(240) == 0, demo.output
    assert {path.name for path in out.iterdir()} == forms | {"rig.yaml"}
    for form in forms:
        summary = json.loads((out / form / "summary.json").read_text())
        assert summary["sent"] == 5
        assert summary["complete"] >= 3
        assert (out / form / "panel_000.png").exists()
    for line in demo.output.splitlines():
        if "depth differs by" in line:
            assert float(line.split()[4]) < 2
    assert ("h264 is left out" in demo.output) == ("h264" not in forms)


def test_a_node_that_dies_ends_the_demo_with_a_sentence(model, tmp_path):
    with running(DEMO, "--out", tmp_path / "out", "--frames", 500, "--model", model) as demo:
        demo.wait_for("ready")
        children = children_of(demo.popen.pid)
        os.kill(children["node"], signal.SIGKILL)
        assert demo.wait(30) == 1
        assert "the node ended with signal 9" in demo.output
        assert "Traceback" not in demo.output
        assert gone(children.values())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_an_interrupted_demo_leaves_no_process_behind(model, tmp_path, number):
    with running(DEMO, "--out", tmp_path / "out", "--frames", 500, "--model", model) as demo:
        demo.wait_for("ready")
        children = children_of(demo.popen.pid)
        assert len(children) == 3
        demo.popen.send_signal(number)
        assert demo.wait(30) == (-number if number == signal.SIGKILL else 128 + number)
        assert "Traceback" not in demo.output
        assert gone(children.values())


def test_mistakes_are_told_before_anything_starts(model, tmp_path, capsys):
    for wrong, expected in {
        ("--model", "/no/model.onnx"): "/no/model.onnx does not exist",
        ("--model", str(model), "--input", "/no/input"): "'/no/input' does not exist",
        ("--model", str(model), "--frames", "0"): "--frames 0: expected at least 1",
        ("--model", str(model), "--rate", "-1"): "--rate -1.0: expected",
    }.items():
        assert main([*wrong, "--out", str(tmp_path / "out")]) == 1
        assert expected in capsys.readouterr().err
