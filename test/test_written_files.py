"""Files that are written are whole or not there."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_model import write_fake_model
from odd_pictures import scene
from predicting import save

from mtpano_model.clouds.cloud import Cloud
from mtpano_model.clouds.files import WRITERS
from mtpano_model.pictures.files import write_picture
from mtpano_model.whole_files import write_whole
from mtpano_ros.tools.prefetch import Prefetcher


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_model(tmp_path_factory.mktemp("model") / "m.onnx")


# --- whole or not at all --------------------------------------------------------------------------


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file that is opened to be written takes some bytes, and then the disk is full."""
    real = Path.open

    def limited(self, mode="r", *rest, **more):
        file = real(self, mode, *rest, **more)
        if "x" in mode or "w" in mode:

            def writelines(parts):
                file.write(b"".join(parts)[:10])
                raise OSError(28, "No space left on device")

            class Limited:
                def __enter__(self):
                    return self

                def __exit__(self, *_):
                    file.close()

            limited_file = Limited()
            limited_file.writelines = writelines
            return limited_file
        return file

    monkeypatch.setattr(Path, "open", limited)


CLOUD = Cloud(np.ones((4, 3), np.float32), np.ones((4, 3), np.uint8), np.ones((4, 3), np.float32),
              np.ones(4, np.uint32), (2, 2))  # fmt: skip
OUTPUTS = {
    "picture.png": lambda path: write_picture(path, scene()),
    **{f"cloud.{kind}": lambda path, w=w: w(path, CLOUD) for kind, w in WRITERS.items()},
}


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("before", [None, b"the old one"])
def test_a_full_disk_leaves_the_old_file_or_none(name, before, tmp_path, monkeypatch):
    path = tmp_path / name
    if before is not None:
        path.write_bytes(before)
    full_disk(monkeypatch)
    with pytest.raises(OSError, match="No space left"):
        OUTPUTS[name](path)
    monkeypatch.undo()
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([] if before is None else [before])
    OUTPUTS[name](path)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_keeps_its_link_and_gets_the_usual_rights(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_whole(tmp_path / "link", b"a", b"b")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"ab"
    (tmp_path / "plain").write_bytes(b"")
    rights = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "plain")]
    assert rights[0] == rights[1]


def test_a_pipe_is_written_to_where_somebody_reads_it(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="a pipe that nobody reads"):
        write_whole(pipe, b"x")
    data = b"y" * 300_000  # more than it holds
    copy = tmp_path / "copy"
    with copy.open("wb") as file, subprocess.Popen(["cat", pipe], stdout=file):
        deadline = time.monotonic() + 20
        while True:  # until cat has opened it
            try:
                write_whole(pipe, data)
                break
            except OSError:
                assert time.monotonic() < deadline
    assert copy.read_bytes() == data
    assert stat.S_ISFIFO(os.stat(pipe).st_mode)


def test_a_socket_is_not_called_a_pipe(tmp_path):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
        with pytest.raises(OSError, match="No such device or address"):
            write_whole(tmp_path / "socket", b"x")


def test_a_device_is_written_to_and_not_replaced():
    write_whole(Path("/dev/null"), b"x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_told_to_end_leaves_whole_files(number, model, tmp_path):
    folder = save(tmp_path / "in", *(f"{n}.png" for n in range(300)))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "mtpano_model", "predict", folder, "--out", out,
               "--model", model, "--output-size", "1024x2048", "--cloud", "none"]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        while not list(out.glob("panel_*")) and running.poll() is None:
            time.sleep(0.02)
        running.send_signal(number)
        told = running.communicate(timeout=60)[1]
    assert running.returncode == 130
    assert told.endswith("mtpano predict: interrupted\n")
    assert list(out.glob(".*")) == []
    for path in out.glob("*.png"):
        assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED) is not None


def test_a_source_that_hangs_does_not_hold_its_reader():
    hung = threading.Event()
    with Prefetcher(iter(hung.wait, None)):
        pass  # left although the source never gives anything
    hung.set()


def test_a_picture_drawn_is_read_back(tmp_path):
    write_picture(tmp_path / "x.png", scene())
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "x.png"))[..., ::-1], scene())
