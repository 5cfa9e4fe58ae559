"""`mtpano predict` from files to files."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from damaged_pictures import oversized_png
from fake_model import write_fake_model
from odd_pictures import encoded, with_segment, xmp
from test_cloud import read_pcd, read_ply

from mtpano_model.classes import load_class_set
from mtpano_model.commands import main, predict
from mtpano_model.drawing import sheet
from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.output_size import resolve_output_size
from mtpano_model.robot.attitude import down_of_tilt

NOT_2TO1 = str(Path(__file__).parents[1] / "docs" / "images" / "apartment.jpg")
CLASSES = load_class_set("indoor18")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fake_model(tmp_path_factory.mktemp("model") / "m.onnx")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures in one flat class colour each: 5 (chair) and 7 (bed)."""
    place = tmp_path / "in"
    place.mkdir()
    for name, label in (("a.png", 5), ("b.png", 7)):
        picture = np.full((64, 128, 3), CLASSES.palette[label], np.uint8)
        cv2.imwrite(str(place / name), picture[..., ::-1])
    return place


def run(model: Path, pictures: Path, out: Path, *more: str) -> int:
    return main(["predict", str(pictures), "--model", str(model), "--out", str(out), *more])


def grey(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_a_folder_becomes_panels_depth_normals_labels_and_clouds(model, folder, tmp_path, capsys):
    out = tmp_path / "deep" / "out"
    assert run(model, folder, out) == 0
    names = {path.name for path in out.iterdir()}
    kinds = ("panel_{}.png", "depth_{}.png", "normals_{}.png", "labels_{}.png", "cloud_{}.ply")
    assert names == {kind.format(n) for kind in kinds for n in "ab"} | {"about.json"}
    for name, label in (("a", 5), ("b", 7)):
        depth = 1 + CLASSES.palette[label][0] / 64
        assert (grey(out / f"labels_{name}.png") == label).all()
        millimetres = grey(out / f"depth_{name}.png")
        assert millimetres.dtype == np.uint16
        assert np.abs(millimetres / 1000 - depth).max() < 0.001
        cloud = read_ply(out / f"cloud_{name}.ply")
        ranges = np.sqrt(cloud["x"] ** 2 + cloud["y"] ** 2 + cloud["z"] ** 2)
        np.testing.assert_allclose(ranges, depth, rtol=1e-5)
        assert (cloud["red"] == CLASSES.palette[label][0]).all()
        assert grey(out / f"panel_{name}.png").shape[1] == 1600
    normals = cv2.imread(str(out / "normals_a.png"))[..., ::-1] / 127.5 - 1
    assert np.abs(normals[32, 64] - (0, 0, -1)).max() < 0.06  # straight ahead faces the camera
    printed = capsys.readouterr().out
    assert str(out) in printed
    assert "2 of 2" in printed


def test_depth_can_be_bent_to_the_normals(model, folder, tmp_path):
    """The model's normals are those of a sphere; half of the picture is 3 % nearer than that."""
    picture = np.full((64, 128, 3), (100, 0, 0), np.uint8)
    picture[:, 32:96, 0] = 95
    cv2.imwrite(str(folder / "a.png"), picture[..., ::-1])
    spread = {}
    for finish in ("off", "normals"):
        out = tmp_path / finish
        assert run(model, folder / "a.png", out, "--cloud", "none", "--depth-finish", finish) == 0
        spread[finish] = np.ptp(grey(out / "depth_a.png")[:, 26:38].astype(int))
    assert 70 < spread["off"] < 90  # 5 / 64 m
    assert spread["normals"] < 0.6 * spread["off"]


def test_about_json_says_what_the_numbers_mean(model, folder, tmp_path):
    run(model, folder, tmp_path / "out", "--cloud", "none")
    about = json.loads((tmp_path / "out" / "about.json").read_text())
    assert about["classes"][7] == {"id": 7, "name": "bed", "color": list(CLASSES.palette[7])}
    assert "millimetres" in about["depth"]
    assert not list((tmp_path / "out").glob("cloud_*"))


def test_one_picture_with_a_pcd_cloud_at_a_stride(model, folder, tmp_path):
    out = tmp_path / "out"
    options = ("--cloud", "pcd", "--cloud-stride", "4", "--output-size", "32x64", "--no-panels")
    assert run(model, folder / "b.png", out, *options) == 0
    assert read_pcd(out / "cloud_b.pcd")[1] == (8, 16)
    assert grey(out / "depth_b.png").shape == (32, 64)
    assert not list(out.glob("panel_*"))


def test_ranges_and_mask_reach_the_depth_file(model, folder, tmp_path):
    mask = np.zeros((64, 128), np.uint8)
    mask[48:] = 255
    mask[:48] = 100  # dark, if not black
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    options = ("--max-range", "2", "--mask", str(tmp_path / "mask.png"), "--no-panels")
    assert run(model, folder / "a.png", tmp_path / "out", *options) == 0
    millimetres = grey(tmp_path / "out" / "depth_a.png")
    assert (millimetres == 0).all()  # out of range, or the robot itself
    assert len(read_ply(tmp_path / "out" / "cloud_a.ply")["x"]) == 0


def test_unreadable_pictures_are_skipped_named_and_counted(model, folder, tmp_path, capsys, caplog):
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nonsense")
    cv2.imwrite(str(folder / "square.png"), np.zeros((64, 64, 3), np.uint8))
    (folder / "vast.png").write_bytes(oversized_png())
    assert run(model, folder, tmp_path / "out", "--no-panels") == 0
    assert "2 of 5" in capsys.readouterr().out
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert any("broken.jpg" in text for text in warnings)
    assert any("square.png" in text and "64x64" in text for text in warnings)
    assert any("vast.png" in text and "32768x65536" in text for text in warnings)


def test_another_shape_is_taken_when_allowed(model, folder, tmp_path):
    cv2.imwrite(str(folder / "square.png"), np.zeros((64, 64, 3), np.uint8))
    options = ("--allow-non-2to1", "--no-panels", "--output-size", "network")
    assert run(model, folder / "square.png", tmp_path / "out", *options) == 0
    assert grey(tmp_path / "out" / "depth_square.png").shape == (64, 128)


def test_status_1_where_nothing_worked(model, tmp_path, capsys):
    (tmp_path / "x.png").write_bytes(b"no picture")
    assert run(model, tmp_path / "x.png", tmp_path / "out") == 1
    assert "0 of 1" in capsys.readouterr().out


def test_two_pictures_of_one_name_do_not_overwrite_each_other(model, folder, tmp_path):
    (folder / "a.jpg").write_bytes((folder / "b.png").read_bytes())
    assert run(model, folder, tmp_path / "out", "--no-panels", "--cloud", "none") == 0
    assert (grey(tmp_path / "out" / "labels_a_png.png") == 5).all()
    assert (grey(tmp_path / "out" / "labels_a_jpg.png") == 7).all()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--output-size", "huge"), "expected something like 256x512, or input or network"),
        (("--output-size", "512x256"), "twice as many columns"),
        (("--threads", "0"), "threads 0: expected 1 to 1024"),
        (("--threads", "9" * 30), "expected 1 to 1024"),
        (("--min-range", "3", "--max-range", "2"), "min_range < max_range"),
        (("--cloud-stride", "0"), "expected 1 or more"),
        (("--mask", "no_mask.png"), "mask 'no_mask.png' does not exist"),
        (("--mask", NOT_2TO1), "expected 2:1 like the panorama it covers"),
        (("--model", "no_model.onnx"), "no_model.onnx"),
    ],
)
def test_a_mistake_is_one_line_and_status_1(model, folder, tmp_path, capsys, more, words):
    assert run(model, folder, tmp_path / "out", *more) == 1
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_a_place_without_pictures_says_so(model, tmp_path, capsys):
    assert run(model, tmp_path / "nowhere", tmp_path / "out") == 1
    assert "does not exist" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert run(model, tmp_path / "empty", tmp_path / "out") == 1
    assert ".jpg" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_to_says_so(model, folder, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert run(model, folder, tmp_path / "file" / "out") == 1
    assert "cannot be written" in capsys.readouterr().err


def test_without_rich_there_is_a_line_a_picture(model, folder, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(predict, "find_spec", lambda name: None)
    with caplog.at_level("INFO"):
        args = predict.Args(folder, tmp_path / "out", str(model), panels=False, cloud="none")
        assert predict.run(args) == 0
    assert [r.getMessage() for r in caplog.records if "/2" in r.getMessage()] == ["1/2 a", "2/2 b"]


@pytest.mark.parametrize(
    ("setting", "image", "expected"),
    [
        ("input", (256, 512), (256, 512)),
        ("input", (1024, 2048), (512, 1024)),
        ("input", (960, 1920), (512, 1024)),
        ("network", (1024, 2048), (64, 128)),
        ("300x600", (1024, 2048), (300, 600)),
        (" 300 x 600 ", (64, 128), (300, 600)),
    ],
)
def test_output_sizes(setting, image, expected):
    assert resolve_output_size(setting, image, (64, 128)) == expected


@pytest.mark.parametrize(
    "setting", ["", "0x0", "-1x-2", "600x300", "input ", "1e2x2e2", "100000x200000"]
)
def test_output_sizes_that_make_no_sense(setting):
    with pytest.raises(MtpanoError, match="output size"):
        resolve_output_size(setting, (64, 128), (64, 128))


def test_a_sheet_has_a_row_for_every_picture(model, folder, tmp_path):
    options = ("--cloud", "none", "--no-panels", "--sheet")
    assert run(model, folder, tmp_path / "one", *options) == 0
    one = cv2.imread(str(tmp_path / "one" / "sheet.jpg"))
    (folder / "c.png").write_bytes((folder / "a.png").read_bytes())
    run(model, folder, tmp_path / "two", *options)
    two = cv2.imread(str(tmp_path / "two" / "sheet.jpg"))
    tile = one.shape[1] // 6
    assert two.shape[1] == one.shape[1]
    assert tile / 2 - 4 < two.shape[0] - one.shape[0] < tile / 2 + 12
    # The first row shows the picture itself, in the colour that it has all over.
    middle = one[24 + tile // 4, tile // 2, ::-1].astype(int)
    assert np.abs(middle - CLASSES.palette[5]).max() < 8


def test_many_pictures_get_several_sheets(model, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(sheet, "PAGE_ROWS", 2)
    out = tmp_path / "out"
    options = ("--cloud", "none", "--no-panels", "--sheet")
    (folder / "c.png").write_bytes((folder / "a.png").read_bytes())
    run(model, folder, out, *options)
    assert sorted(path.name for path in out.glob("sheet*")) == ["sheet_01.jpg", "sheet_02.jpg"]
    heights = [cv2.imread(str(path)).shape[0] for path in sorted(out.glob("sheet*"))]
    assert heights[0] > heights[1] + 100


def photo_sphere_jpeg(path: Path, properties: str, rgb: np.ndarray) -> Path:
    path.write_bytes(with_segment(xmp(properties), encoded("jpg", rgb)))
    return path


def test_what_a_camera_cropped_away_is_unknown(model, tmp_path):
    """The fake model takes every pixel for what its colour says; the padding says nothing."""
    band = np.full((32, 128, 3), CLASSES.palette[5], np.uint8)
    crop = (
        'GPano:FullPanoWidthPixels="128" GPano:FullPanoHeightPixels="64" '
        'GPano:CroppedAreaImageWidthPixels="128" GPano:CroppedAreaImageHeightPixels="32" '
        'GPano:CroppedAreaLeftPixels="0" GPano:CroppedAreaTopPixels="16"'
    )
    picture = photo_sphere_jpeg(tmp_path / "c.jpg", crop, band)
    out = tmp_path / "out"
    assert run(model, picture, out, "--no-panels") == 0
    depth, labels = grey(out / "depth_c.png"), grey(out / "labels_c.png")
    assert depth.shape == (64, 128)
    assert (depth[16:48] > 0).all()
    assert (labels[18:46] == 5).all()
    for rows in (slice(0, 16), slice(48, 64)):
        assert not depth[rows].any()
        assert (labels[rows] == 255).all()


@pytest.mark.parametrize(
    ("pitch", "roll", "down"),
    [
        (90, 0, (0, 0, -1)),  # it looks at the ceiling: down is behind it
        (-90, 0, (0, 0, 1)),
        (0, 90, (1, 0, 0)),  # it lies on its right side
        (30, 0, (0, np.cos(np.pi / 6), -np.sin(np.pi / 6))),
        (30, 90, (np.cos(np.pi / 6), 0, -np.sin(np.pi / 6))),
    ],
)
def test_down_by_the_tilt_that_metadata_tell(pitch, roll, down):
    np.testing.assert_allclose(down_of_tilt(pitch, roll), down, atol=1e-12)


def test_level_takes_the_tilt_out_of_the_metadata(model, tmp_path, caplog):
    tilt = 'GPano:PosePitchDegrees="17" GPano:PoseRollDegrees="-20"'
    rgb = np.full((64, 128, 3), CLASSES.palette[5], np.uint8)
    picture = photo_sphere_jpeg(tmp_path / "t.jpg", tilt, rgb)
    with caplog.at_level("INFO"):
        assert run(model, picture, tmp_path / "out", "--no-panels", "--level") == 0
    angle = np.degrees(np.arccos(np.cos(np.radians(17)) * np.cos(np.radians(20))))
    assert f"turned by {angle:.1f} degrees" in caplog.text
