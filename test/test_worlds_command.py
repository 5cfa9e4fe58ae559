"""`mtpano render`: bad input, each in one sentence, and libraries of furniture."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mtpano_model.commands import main
from mtpano_model.commands.render import parse_kinds
from mtpano_model.pictures.truth_files import BODY, MEASURED, OPEN
from mtpano_model.worlds.catalogue import open_catalogue
from mtpano_model.worlds.kinds import KINDS
from mtpano_model.worlds.picture import expose, to_srgb
from mtpano_model.worlds.shapes import read_shape
from mtpano_model.worlds.truth import encode_truth

# A table 2 x 1 x 1 in the file's axes (y up): a top, and a shelf at half height below it.
TABLE = """
mtllib table.mtl
v 0 1 0
v 2 1 0
v 2 1 1
v 0 1 1
v 0 0.5 0
v 2 0.5 0
v 2 0.5 1
v 0 0.5 1
v 0 0 0
f 1 2 3 4
f 5/1 6/1 7/1 8/1
f -1 1 2
"""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--out", "o", "--kinds", "home,ofice"], "unknown kind 'ofice': did you mean 'office'"),
        (["--out", "o", "--kinds", "spaceship"], "unknown kind 'spaceship': expected one of home,"),
        (["--out", "o", "--kinds", ","], "--kinds is empty"),
        (["--out", "o", "--size", "512x512"], "size '512x512' is not 2:1"),
        (["--out", "o", "--size", "1024x512"], "size '1024x512' is not 2:1"),
        (["--out", "o", "--size", "big"], "size 'big' is not HEIGHTxWIDTH"),
        (["--out", "o", "--size", "8x16"], "size 8x16 is out of range"),
        (["--out", "o", "--size", "8190x16380"], "out of range"),
        (["--out", "o", "--size", "9999x19998"], "is too large"),
        (["--out", "o", "--rooms", "0"], "--rooms 0 is too small"),
        (["--out", "o", "--views", "-1"], "--views -1 is too small"),
        (["--out", "o", "--processes", "0"], "--processes 0 is too small"),
        (["--out", "o", "--samples", "0"], "--samples 0 is too small"),
        (["--out", "o", "--trajectory", "--seconds", "0"], "--seconds 0 is out of range"),
        (["--out", "o", "--trajectory", "--seconds", "nan"], "--seconds nan is out of range"),
        ([], "the output folder is missing"),
        (["--verify", "nowhere"], "nowhere/index.jsonl does not exist"),
        (["--out", "o", "--furniture", "nowhere"], "nowhere holds no furniture"),
        (["--out", "o", "--blender", "nowhere"], "nowhere does not exist"),
        (["--out", "o", "--blender", sys.executable], "cannot load Blender"),
        (["--out", "o", "--blender", "/bin/true"], "cannot load Blender (it gave no reason)"),
        (["--out", "o", "--blender", "/bin/echo"], "cannot load Blender (it gave no reason)"),
        (["--out", "o", "--blender", __file__], "cannot load Blender"),  # not executable
    ],
)
def test_bad_input_is_one_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "furniture").mkdir()
    monkeypatch.setenv("MTPANO_WORLDS_VENV", str(tmp_path))
    (tmp_path / "worlds" / "furniture").mkdir(parents=True)
    if "--furniture" in arguments:
        monkeypatch.setattr("mtpano_model.commands.render.check_blender", lambda python: "5.0.1")
    assert main(["render", *arguments]) == 1
    said = capsys.readouterr().err.strip()
    assert sentence in said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "o").exists()


def test_kinds_come_in_order_and_once() -> None:
    assert parse_kinds("home, office,home") == ["home", "office"]
    assert parse_kinds("all") == list(KINDS)


def test_without_furniture_it_says_where_to_get_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import mtpano_model.worlds.ingredients as ingredients

    monkeypatch.setenv("MTPANO_WORLDS_VENV", str(tmp_path / "nothing"))
    monkeypatch.setattr(ingredients, "_DEBIAN", tmp_path / "nothing")
    assert main(["render", "--out", str(tmp_path / "o")]) == 1
    assert "sweethome3d-furniture" in capsys.readouterr().err


def library(folder: Path, files: dict[str, str], catalogue: str) -> Path:
    folder.mkdir()
    with zipfile.ZipFile(folder / "BlendSwap-CC-0.sh3f", "w") as archive:
        archive.writestr("PluginFurnitureCatalog.properties", catalogue)
        for name, text in files.items():
            archive.writestr(name, text)
    return folder


RECORD = """id#{0}=x\nname#{0}=Caf\\u00e9 table\nmodel#{0}=/m/table.obj
width#{0}=200\ndepth#{0}=100\nheight#{0}=80\ncreator#{0}=Somebody\n"""


def test_a_library_is_unpacked_once_and_read_by_the_table_of_classes(tmp_path: Path) -> None:
    # 27 and 134 are tables in models.csv.
    folder = library(
        tmp_path / "lib",
        {"m/table.obj": TABLE, "m/table.mtl": "newmtl a\nKd 1 1 1\n"},
        RECORD.format(27) + RECORD.format(134) + RECORD.format(9999),
    )
    found = {
        side: open_catalogue(folder, tmp_path / "unpacked", side).models()
        for side in ("train", "heldout")
    }
    assert {len(models) for models in found.values()} == {1}
    (model,) = found["train"].values()
    assert (model.name, model.label, model.size) == ("Café table", 7, (2.0, 1.0, 0.8))


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"m/table.obj": TABLE},
        {"m/table.obj": TABLE, "m/table.mtl": "newmtl a\nmap_Kd wood.jpg\n"},
    ],
)
def test_models_with_missing_parts_are_left_out(tmp_path: Path, files: dict[str, str]) -> None:
    from mtpano_model.errors import MtpanoError

    folder = library(tmp_path / "lib", files, RECORD.format(27))
    with pytest.raises(MtpanoError, match=r"no model of .* is complete"):
        open_catalogue(folder, tmp_path / "unpacked", "train")


def test_a_library_that_is_no_archive_is_named(tmp_path: Path) -> None:
    from mtpano_model.errors import MtpanoError

    (tmp_path / "broken.sh3f").write_bytes(b"not a zip")
    with pytest.raises(MtpanoError, match=r"cannot unpack .*broken\.sh3f"):
        open_catalogue(tmp_path, tmp_path / "unpacked", "train")


def test_other_models_come_with_a_table_of_their_own(tmp_path: Path) -> None:
    from mtpano_model.errors import MtpanoError

    (tmp_path / "chair.glb").write_bytes(b"glTF")
    head = "role,class,file,width,depth,height,licence,creator\n"
    table = tmp_path / "models.csv"
    table.write_text(head + "chair,chair,chair.glb,0.5,0.5,0.9,CC0,Somebody\n")
    (model,) = open_catalogue(tmp_path, tmp_path, "train").models().values()
    assert (model.role, model.label, model.size) == ("chair", 5, (0.5, 0.5, 0.9))
    table.write_text(head + "chair,throne,chair.glb,0.5,0.5,0.9,CC0,Somebody\n")
    with pytest.raises(MtpanoError, match="line 2 is not a model"):
        open_catalogue(tmp_path, tmp_path, "train")


def test_the_top_of_a_model_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "table.obj"
    path.write_text(TABLE)
    shape = read_shape(path, np.eye(3), (2.0, 1.0, 0.8))
    assert shape.level_at(0.5, -0.2, 0.3, 0.3, (2.0, 1.0, 0.8)) == pytest.approx(0.8)
    assert shape.level_at(0.95, 0.0, 0.3, 0.3, (2.0, 1.0, 0.8)) is None  # over its edge
    (board,) = shape.boards
    assert board.z == pytest.approx(0.4, abs=0.01)
    assert board.gap == pytest.approx(0.4, abs=0.02)


def test_depth_to_a_hundred_metres_is_kept_to_the_millimetre() -> None:
    depth = np.array([[0.25, 65.534, 65.5355, 65.536, 99.9994, 130.5, 1e10, 0.0]] * 4)
    normal = -np.moveaxis(np.broadcast_to(_rays(4, 8), (4, 8, 3)), -1, -1)
    truth = encode_truth(depth, normal, np.full((4, 8), 1, np.uint8), np.eye(3), outdoors=True)
    files = truth.files()
    near, far = files["_depth"].astype(int), files["_far"].astype(int)
    metres = np.where(far > 0, far + 65535, near) / 1000
    np.testing.assert_allclose(metres[:, :6], depth[:, :6], atol=0.00101)
    assert (truth.mask[:, :6] == MEASURED).all()
    assert (truth.mask[:, 6:] == OPEN).all()
    assert (files["_normal"][:, 6:] == 128).all()
    assert (files["_semantic"][:, 6:] == 0).all()


def test_outside_through_a_window_is_window_and_the_own_body_is_masked() -> None:
    label = np.array([[1, 41, 1, 9]] * 2, np.uint8)
    depth = np.array([[1.0, 0.5, 1e10, 2.0]] * 2)
    truth = encode_truth(depth, -_rays(2, 4), label, np.eye(3), outdoors=False)
    assert truth.semantic[0].tolist() == [1, 0, 9, 9]
    assert truth.mask[0].tolist() == [MEASURED, BODY, OPEN, MEASURED]
    assert truth.millimetres[0].tolist() == [1000, 0, 0, 2000]


def test_normals_face_the_camera_whichever_side_a_face_shows() -> None:
    ray = _rays(16, 32)
    for sign in (-1, 1):
        truth = encode_truth(
            np.ones((16, 32)), sign * ray, np.ones((16, 32), np.uint8), np.eye(3), False
        )
        stored = truth.normals / 127.5 - 1
        assert np.abs(stored + ray).max() < 0.005


def _rays(height: int, width: int) -> np.ndarray:
    from mtpano_model.geometry.sphere import rays

    return rays(height, width).astype(np.float64)


def test_pictures_are_exposed_whatever_the_light() -> None:
    import random

    scene = np.random.default_rng(0).uniform(0.2, 1.0, (32, 64, 3))
    for light in (1e-3, 1.0, 1e3):
        means = [expose(scene * light, random.Random(k))[0].mean() for k in range(40)]
        assert 90 < np.median(means) < 170
        assert min(means) < 0.8 * np.median(means)
    grey = to_srgb(np.array([0.0, 0.0031308, 0.214, 1.0]))
    assert grey.tolist() == [0, 10, 127, 255]  # IEC 61966-2-1


def test_a_texture_is_computed_once_and_tiles(tmp_path: Path) -> None:
    import cv2

    from mtpano_model.worlds.textures import KINDS, TexturePool

    for kind in KINDS:
        pool = TexturePool(tmp_path, "train")
        texture = pool.get(pool.names(kind)[0])
        made = (tmp_path / f"{texture.name}.png").read_bytes()
        assert 0.4 < texture.size < 6
        assert TexturePool(tmp_path, "train").get(texture.name) == texture
        assert (tmp_path / f"{texture.name}.png").read_bytes() == made
        rgb = cv2.imread(str(tmp_path / f"{texture.name}.png")).astype(float)
        assert rgb.shape == (512, 512, 3)
        if kind not in ("art", "facade"):  # what repeats must not show a step where it does
            steps = np.abs(np.diff(np.concatenate((rgb, rgb[:, :1]), 1), axis=1)).mean((0, 2))
            assert steps[-1] < max(8, 3 * steps[:-1].max())
