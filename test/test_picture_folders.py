"""Which files are pictures, their order and names; and files that are whole or not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_model import write_fake_model
from predicting import predict, save

from mtpano_model.data.folder import FolderPanoramas
from mtpano_model.drawing import canvas
from mtpano_model.errors import MtpanoError
from mtpano_model.pictures import folders
from mtpano_model.pictures.files import write_picture
from mtpano_model.pictures.folders import find_pictures, find_pictures_below, output_names, readable
from mtpano_ros.tools.sources import open_source

LATIN = os.fsdecode(b"caf\xe9.png")  # no UTF-8


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_model(tmp_path_factory.mktemp("model") / "m.onnx")


def predicted(place: Path) -> list[str]:
    return [path.name for path in find_pictures(place)]


def played(place: Path) -> list[int]:
    return [int(frame[0, 0, 1]) for frame in open_source(place).frames()]


def test_every_reader_has_one_natural_order(tmp_path):
    names = ["frame_10.png", "frame_2.png", "Frame_1.png", "²1.png", "①.png", "9" * 200 + ".png"]
    for value, name in enumerate(names):
        write_picture(tmp_path / name, np.full((64, 128, 3), 10 * value, np.uint8))
    expected = ["9" * 200 + ".png", "Frame_1.png", "frame_2.png", "frame_10.png", "²1.png", "①.png"]
    assert predicted(tmp_path) == expected
    assert [Path(p.name).name for p in FolderPanoramas(tmp_path).panoramas()] == expected
    assert played(tmp_path) == [10 * names.index(name) for name in expected]


@pytest.fixture
def cluttered(tmp_path: Path) -> Path:
    """A folder with one picture, and much that looks like one."""
    folder = save(tmp_path / "in", "good.PNG", ".hidden.png", "notes.txt")
    save(folder / "folder.png")
    save(folder / ".thumbnails", "small.png")
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "pipe.avi")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "dangling.png").symlink_to(folder / "nowhere.png")
    (folder / "device.png").symlink_to("/dev/zero")
    return folder


def test_only_regular_files_that_are_not_hidden_are_pictures(cluttered, model, tmp_path, capsys):
    assert predicted(cluttered) == ["good.PNG"]
    assert [p.name for p in find_pictures_below(cluttered)] == ["good.PNG"]
    assert len(played(cluttered)) == 1
    assert predict(model, cluttered, tmp_path / "out", "--no-panels", "--cloud", "none") == 0
    assert "1 of 1" in capsys.readouterr().out


@pytest.mark.parametrize("read", [find_pictures, FolderPanoramas, open_source])
@pytest.mark.parametrize("name", ["pipe.png", "pipe.avi", "device.png"])
def test_a_pipe_is_refused_and_not_waited_for(name, read, cluttered):
    with pytest.raises(MtpanoError, match="neither a file nor a folder"):
        read(cluttered / name)


@pytest.mark.parametrize("read", [find_pictures, FolderPanoramas, open_source])
@pytest.mark.parametrize("name", ["VID.insv", "IMG.insp", "GS01.360", "X.INSV"])
def test_a_camera_s_raw_file_says_what_to_do(name, read, tmp_path):
    save(tmp_path / "in", name)
    for place in (tmp_path / "in", tmp_path / "in" / name):
        with pytest.raises(MtpanoError, match=r"raw recording.*export.*equirectangular"):
            read(place)


@pytest.mark.parametrize("read", [find_pictures, find_pictures_below, open_source])
def test_a_folder_that_may_not_be_read_says_so(read, tmp_path, monkeypatch):
    refused = PermissionError(13, "Permission denied")
    monkeypatch.setattr(os, "scandir", lambda _: (_ for _ in ()).throw(refused))
    with pytest.raises(MtpanoError, match="cannot be read: Permission denied"):
        read(save(tmp_path / "in", "a.png"))


def test_folders_may_nest_deeply(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("d")
    for _ in range(1200):
        folder.mkdir()
        folder /= "d"
    folder.write_bytes(b"")
    picture = folder.rename(folder.with_name("a.png"))
    assert find_pictures_below(Path("d")) == [picture]
    subprocess.run(["rm", "-r", "d"], check=True)  # Python's own way is recursive


def test_predict_leaves_its_own_outputs_alone(model, tmp_path, capsys):
    folder = save(tmp_path / "in", "a.png", "b.png", "depth_of_field.jpg")
    for _ in range(3):
        assert predict(model, folder, folder, "--sheet") == 0
        assert "3 of 3" in capsys.readouterr().out
    assert len(played(folder)) == 3
    assert len(FolderPanoramas(folder)) == 3


def test_pictures_named_like_outputs_are_pictures_where_nothing_was_predicted(tmp_path):
    assert len(predicted(save(tmp_path / "in", "depth_1.png", "panel_a.png"))) == 2


def test_a_label_store_below_the_input_is_left_out(tmp_path):
    folder = save(tmp_path / "in", "a.png")
    save(folder / "store" / "preview", "a.png")
    (folder / "store" / "store.json").write_text("{}")
    assert [p.name for p in FolderPanoramas(folder).panoramas()] == ["in/a.png"]


LONG = "x" * 250


@pytest.mark.parametrize("names", [
    ["a.jpg", "a.png", "a_jpg.png"], ["a.png", "a.jpg", "a_png.png", "a_jpg.bmp"],
    ["a.jpg", "a.JPG", "a.png"], [f"{LONG}1.png", f"{LONG}2.png", f"{LONG}2.jpg"],
    ["a_jpg.png", "a.jpg", "a.png", "a_jpg_2.png", "a_jpg.jpg"],
])  # fmt: skip
def test_no_two_pictures_share_a_name(names):
    got = output_names([Path(name) for name in names])
    assert len(set(got)) == len(names)
    assert max(map(len, got)) < 220


def test_a_hundred_thousand_names_are_no_work():
    paths = [Path(f"{n // 2}.{'jpg' if n % 2 else 'png'}") for n in range(100_000)]
    assert len(set(output_names(paths))) == 100_000  # a quadratic step would take an hour
    sorted(paths, key=folders.natural_order)


def test_names_that_are_no_utf8_work_everywhere(model, tmp_path, capsys, caplog):
    folder = save(tmp_path / "in", LATIN, "ok.png", "a\nb.png")
    (folder / os.fsdecode(b"bad\xff.png")).write_bytes(b"no picture")
    out = tmp_path / os.fsdecode(b"out\xff")
    assert predict(model, folder, out) == 0
    assert "3 of 4" in capsys.readouterr().out
    assert (out / f"panel_{LATIN}").is_file()
    assert "bad\\xff.png" in caplog.text
    names = [item.name for item in FolderPanoramas(folder).panoramas()]
    assert "in/caf\\xe9.png" in names
    for name in names:
        name.encode()  # as labels and logs do
    assert len(played(folder)) == 3


def test_the_c_locale_reads_any_name(tmp_path):
    folder = save(tmp_path / "in", "360°.png", LATIN)
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from mtpano_model.pictures.folders import find_pictures, readable\n"
        "from mtpano_model.drawing import canvas\n"
        "for path in find_pictures(Path(sys.argv[1])):\n"
        "    canvas.put_text(canvas.paper(40, 400), path.name, 0, 0)\n"
        "    print(ascii(readable(path.name)))\n"
    )
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code, folder], capture_output=True, text=True, check=True,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert sorted(done.stdout.split()) == [ascii("360°.png"), ascii("caf\\xe9.png")]


@pytest.mark.parametrize("text", ["bad\udcff", "\ud800", "a\nb", "", "\0", "360°", "目録"])
def test_any_text_can_be_drawn(text):
    code = (
        "import sys\nfrom mtpano_model.drawing import canvas\n"
        f"canvas.put_text(canvas.paper(40, 800), {text!r}, 0, 6)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert canvas.text_width(text) >= 0


def test_readable_keeps_what_is_readable():
    assert readable("360° größe.jpg") == "360° größe.jpg"
