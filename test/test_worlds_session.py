"""Rendering sessions with a stand-in for Blender: what is stored, resumed, refused and checked."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import worlds_rendering
from worlds_rendering import HERE, WORLDS, entries, render

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry.sphere import rays
from mtpano_model.worlds.output import Output
from mtpano_model.worlds.shoot import Settings

flat_blender, rendered = worlds_rendering.flat_blender, worlds_rendering.rendered


def test_the_files_hold_the_floor_that_was_seen(rendered: Path) -> None:
    for entry in entries(rendered):
        stem = rendered / entry["name"]
        depth = cv2.imread(f"{stem}_depth.png", cv2.IMREAD_UNCHANGED).astype(float)
        mask = cv2.imread(f"{stem}_mask.png", cv2.IMREAD_UNCHANGED)
        far = Path(f"{stem}_far.png")
        if far.exists():
            beyond = cv2.imread(str(far), cv2.IMREAD_UNCHANGED).astype(float)
            depth = np.where(beyond > 0, beyond + 65535, depth)
        axes = np.array(entry["world_from_camera"])
        world = (rays(64, 128).astype(float) * depth[..., None] / 1000) @ axes.T
        height = world[..., 2] + entry["camera_height_m"]
        assert np.abs(height[depth > 0]).max() < 0.0006
        assert ((mask == 0) == (depth > 0)).all()
        down = np.array(entry["gravity_optical"])
        np.testing.assert_allclose(axes @ down, (0, 0, -1), atol=1e-6)
        normals = cv2.imread(f"{stem}_normal.png")[..., ::-1] / 127.5 - 1
        # Rays that graze a surface store a normal turned up a little, so that it faces the camera.
        steep = (depth > 0) & ((rays(64, 128) @ down) > 0.03)
        assert np.abs(normals[steep] + down).max() < 0.009


def test_training_s_reader_takes_the_folder(rendered: Path) -> None:
    pytest.importorskip("torch")
    from mtpano_model.data.rooms import RoomsDataset

    dataset = RoomsDataset(rendered)
    assert len(dataset) == 6
    sample = dataset[0]
    assert tuple(sample.image.shape[-2:]) == (64, 128)


def test_a_second_run_adds_nothing_and_a_longer_one_what_is_missing(
    rendered: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(rendered, tmp_path / "set")
    before = (folder / "index.jsonl").read_bytes()
    assert render(folder) == 0
    assert (folder / "index.jsonl").read_bytes() == before
    assert render(folder, worlds=[*WORLDS, ("garage", 1)]) == 2


def test_a_view_that_was_cut_off_is_rendered_again_alike(rendered: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(rendered, tmp_path / "set")
    lines = (folder / "index.jsonl").read_text().splitlines(keepends=True)
    lost = json.loads(lines[-1])
    (folder / "index.jsonl").write_text("".join(lines[:-1]) + lines[-1][:40])
    (folder / "worlds" / f"{lost['room']}.json").unlink()
    picture = (folder / f"{lost['name']}.jpg").read_bytes()
    (folder / f"{lost['name']}.jpg").write_bytes(picture[:100])
    assert render(folder) == 1
    assert entries(folder)[-1] == lost
    assert (folder / f"{lost['name']}.jpg").read_bytes() == picture


@pytest.mark.parametrize(
    "changed",
    [
        Settings((32, 64), "train", 2, 8, 1, "test"),
        Settings((64, 128), "heldout", 2, 8, 1, "test"),
        Settings((64, 128), "train", 3, 8, 1, "test"),
        Settings((64, 128), "train", 2, 16, 1, "test"),
        Settings((64, 128), "train", 2, 8, 2, "test"),
        Settings((64, 128), "train", 2, 8, 1, "other furniture"),
        Settings((64, 128), "train", 2, 8, 1, "test", 3.0),
    ],
)
def test_a_seed_keeps_its_settings(rendered: Path, tmp_path: Path, changed: Settings) -> None:
    folder = shutil.copytree(rendered, tmp_path / "set")
    with pytest.raises(MtpanoError, match="seed 4 rendered with"):
        Output(folder, 4, changed.as_json())
    Output(folder, 5, changed.as_json()).close()


def test_two_runs_do_not_write_to_one_folder(tmp_path: Path) -> None:
    first = Output(tmp_path, 1, {})
    with pytest.raises(MtpanoError, match="another process is rendering"):
        Output(tmp_path, 1, {})
    first.close()
    Output(tmp_path, 1, {}).close()


def test_a_full_disk_is_one_sentence_and_leaves_no_half_view(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mtpano_model.worlds.output as output_module

    written = []

    def full(path: Path, picture: Any) -> None:
        written.append(path)
        if len(written) >= 3:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        path.write_bytes(b"whole")

    monkeypatch.setattr(output_module, "write_picture", full)
    with pytest.raises(MtpanoError, match=r"No space left on device.*free some disk space"):
        render(tmp_path / "set")
    index = tmp_path / "set" / "index.jsonl"
    assert not index.exists() or not index.read_text()


def test_a_killed_run_goes_on_and_loses_one_view_at_most(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    program = textwrap.dedent(f"""
        import sys
        sys.path[:0] = [{str(HERE)!r}, {str(HERE.parent)!r}]
        from pathlib import Path
        from worlds_rendering import HERE, WORLDS, render, renderer_module
        renderer_module._SCRIPT = HERE / "flat_blender.py"
        print("go", flush=True)
        render(Path({str(folder)!r}), worlds=[(k, n) for n in range(30) for k, _ in WORLDS])
    """)
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    index = folder / "index.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (
        index.exists() and index.read_bytes().count(b"\n") >= 5
    ):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stored = {e["name"] for e in entries(folder)}
    assert len(stored) >= 5
    started = {p.name.split("_")[0].split(".")[0] for p in folder.glob("*-*-*.*")}
    assert len(started - stored) <= 2  # one for each of the two processes
    complete = sum(render(folder, worlds=[(k, 0) for k, _ in WORLDS]) for _ in range(1))
    names = [e["name"] for e in entries(folder)]
    assert len(names) == len(set(names)) == len(stored) + complete


def test_a_world_that_blender_cannot_build_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mtpano_model.worlds.scene import Scene

    save = Scene.save
    calls = []

    def empty_once(self: Scene, folder: Path, models: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            self.groups.clear()
        save(self, folder, models)

    monkeypatch.setattr(Scene, "save", empty_once)
    assert render(tmp_path / "set") == 4
