"""People from anny in the worlds: the tool that makes them, and the catalogue that takes them."""

from __future__ import annotations

import csv
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from test_worlds_plan import STOCK

from mtpano_model.worlds import anny_people
from mtpano_model.worlds.anny_cloth import cut, fitted_turn, hanging, wrapped
from mtpano_model.worlds.anny_poses import POSES
from mtpano_model.worlds.catalogue import Catalogue, open_catalogue
from mtpano_model.worlds.credits import write_credits
from mtpano_model.worlds.scene import Placed
from mtpano_model.worlds.split import Split, choose
from mtpano_model.worlds.world import Stock, make_world

HEAD = "role,class,file,width,depth,height,licence,creator\n"
BLOCK = "mtllib one.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 1\nusemtl skin\nf 1 2 3\n"


def people_folder(parent: Path, count: int = 8) -> Path:
    """As the tool writes it, each person a triangle."""
    folder = parent / "anny-people"
    folder.mkdir(parents=True)
    (folder / "one.mtl").write_text("newmtl skin\nKd 1 1 1\n")
    rows = [HEAD]
    for number in range(count):
        (folder / f"standing-{number}.obj").write_text(BLOCK)
        rows.append(f"person,person,standing-{number}.obj,0.5,0.4,1.7,Apache-2.0,anny\n")
    (folder / "models.csv").write_text("".join(rows))
    return folder


def furniture_folder(parent: Path) -> Path:
    """A guest on each side of the split."""
    folder = parent / "furniture"
    folder.mkdir(parents=True)
    rows = [HEAD]
    for name in ("guest", "host"):
        (folder / f"{name}.glb").write_bytes(b"glTF")
        rows.append(f"person,person,{name}.glb,0.5,0.4,1.7,CC0,Somebody\n")
    (folder / "models.csv").write_text("".join(rows))
    return folder


def test_people_join_the_furniture_and_are_split_by_themselves(tmp_path: Path) -> None:
    furniture, people = furniture_folder(tmp_path), people_folder(tmp_path)
    names = [f"anny-people#standing-{number}.obj" for number in range(8)]
    sides: tuple[Split, ...] = ("train", "heldout")
    for side in sides:
        with_people = open_catalogue(furniture, tmp_path, side, people).models()
        without = open_catalogue(furniture, tmp_path, side).models()
        assert set(with_people) - set(without) == set(choose(names, side))
        assert len(without) == 1
        assert set(without) < set(with_people)
    assert len(choose(names, "heldout")) == 2


def test_a_stock_with_people_has_another_fingerprint(tmp_path: Path) -> None:
    furniture, people = furniture_folder(tmp_path), people_folder(tmp_path)

    def fingerprint(folder: Path | None) -> str:
        catalogue = open_catalogue(furniture, tmp_path, "train", folder)
        return Stock("train", catalogue, STOCK.textures, STOCK.skies).fingerprint()

    assert fingerprint(people) != fingerprint(None)


@pytest.mark.parametrize(
    ("is_there", "sentence"),
    [
        (False, "anny-people does not exist"),
        (True, "has no models.csv, so that it is not complete"),
    ],
)
def test_without_them_the_library_s_people_stand_there_and_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, is_there: bool, sentence: str
) -> None:
    people = tmp_path / "anny-people"
    if is_there:
        people_folder(tmp_path)
        (people / "models.csv").unlink()
    with caplog.at_level(logging.INFO):
        models = open_catalogue(furniture_folder(tmp_path), tmp_path, "train", people).models()
    assert [key.split("#")[0] for key in models] == ["furniture"]
    (said,) = caplog.messages
    assert sentence in said
    assert "./run worlds" in said


@pytest.mark.parametrize("lost", ["standing-3.obj", "one.mtl"])
def test_people_whose_files_are_missing_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, lost: str
) -> None:
    people = people_folder(tmp_path)
    (people / lost).unlink()
    models = open_catalogue(furniture_folder(tmp_path), tmp_path, "train", people).models()
    left = sum(key.startswith("anny-people#") for key in models)
    assert left == (5 if lost.endswith(".obj") else 0)
    count = 1 if lost.endswith(".obj") else 8
    assert f"{count} models are left out" in caplog.text


def test_credits_name_anny_where_its_people_stand(tmp_path: Path) -> None:
    furniture, people = furniture_folder(tmp_path), people_folder(tmp_path)
    catalogue: Catalogue = open_catalogue(furniture, tmp_path, "train", people)
    used = next(key for key in catalogue.models() if key.startswith("anny-people#"))
    entry = {"models": [used], "hdri": "bpy:sunset", "textures": []}
    write_credits(tmp_path, [entry], catalogue)
    written = (tmp_path / "CREDITS.md").read_text()
    for words in ("NAVER", "Apache-2.0", "MakeHuman", "CC0 1.0", used.split("#")[1]):
        assert words in written


def test_who_sits_has_the_back_at_the_chair_s_back() -> None:
    seen = 0
    for number in range(12):
        world = make_world("canteen", 5, number, STOCK)
        chairs = [m for m in world.scene.models if m.label == 5]
        for person in (m for m in world.scene.models if "seatedperson" in m.key):
            chair = min(chairs, key=lambda c: _apart(person, c))
            back = (person.x, person.y) + person.size[1] / 2 * _backward(person)
            gap = (np.array((chair.x, chair.y)) - back) @ _backward(chair) + chair.size[1] / 2
            assert gap == pytest.approx(0.08)
            seen += 1
    assert seen > 3


def _apart(a: Placed, b: Placed) -> float:
    return float(np.hypot(a.x - b.x, a.y - b.y))


def _backward(placed: Placed) -> np.ndarray:
    return np.array((-np.sin(placed.angle), np.cos(placed.angle)))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--count", "0", "--out", "new"], "--count 0 is too small: expected 1 or more"),
        (["--out", "."], ". exists already: remove it, or name another folder"),
        (["--out", "new"], "this Python has no anny"),
    ],
)
def test_the_tool_says_in_one_sentence_what_it_lacks(
    arguments: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "anny", None)
    assert anny_people.main(arguments) == 1
    said = capsys.readouterr().err.strip()
    assert sentence in said
    assert len(said.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_cloth_is_cut_along_a_clean_line() -> None:
    x, y = (v.ravel().astype(float) for v in np.meshgrid(np.arange(5), np.arange(5)))
    corners = np.stack((x, y, 0 * x), 1)
    a = np.array([i * 5 + j for i in range(4) for j in range(4)])
    faces = np.concatenate((np.stack((a, a + 1, a + 6), 1), np.stack((a, a + 6, a + 5), 1)))
    value = 2.3 - x - 0.5 * y  # the part below this line, a triangle cut off at y = 4
    points, kept = cut(corners, faces, value)
    sides = points[kept]
    across = np.cross(sides[:, 1] - sides[:, 0], sides[:, 2] - sides[:, 0])[:, 2]
    assert (across > -1e-12).all()
    assert across.sum() / 2 == pytest.approx((2.3 + 0.3) / 2 * 4)
    assert (2.3 - points[kept][..., 0] - 0.5 * points[kept][..., 1]).min() > -1e-9


def test_a_skirt_goes_around_the_legs_and_falls_outward() -> None:
    angles = np.linspace(0, 2 * np.pi, 40)
    legs = np.concatenate(
        [np.stack((side + 0.08 * np.cos(angles), 0.08 * np.sin(angles), 0 * angles + z), 1)
         for side in (-0.1, 0.1) for z in np.linspace(0, 1, 30)]
    )  # fmt: skip
    skirt = hanging("skirt", legs, np.linspace(0.9, 0.2, 10), np.full(10, 0.02))
    rings = skirt.vertices.reshape(10, -1, 3)
    radius = np.linalg.norm(rings[..., :2], axis=2)
    assert (np.diff(radius, axis=0) > -1e-9).all()
    assert rings[-1][:, 0].max() == pytest.approx(0.18 + 0.02, abs=0.003)
    assert rings[-1][:, 1].max() == pytest.approx(0.08 + 0.02, abs=0.003)


def test_a_shoe_wraps_its_foot() -> None:
    box = np.array([(x, y, z) for x in (0, 0.09) for y in (0, 0.25) for z in (0, 0.08)])
    corners, _ = wrapped(box, 0.004)
    np.testing.assert_allclose(np.ptp(corners, axis=0), (0.098, 0.258, 0.088), rtol=0.08)


def test_a_turn_is_found_again() -> None:
    points = np.random.default_rng(1).normal(size=(30, 3))
    c, s = np.cos(0.7), np.sin(0.7)
    turn = np.array(((c, -s, 0), (s, c, 0), (0, 0, 1.0)))
    found, shift = fitted_turn(points, points @ turn.T + (1, 2, 3))
    np.testing.assert_allclose(found, turn, atol=1e-9)
    np.testing.assert_allclose(shift, (1, 2, 3), atol=1e-9)


def read_obj(path: Path) -> np.ndarray:
    lines = [line.split()[1:] for line in path.read_text().splitlines() if line[:2] == "v "]
    return np.array(lines, float)


@pytest.mark.slow
def test_people_are_as_tall_as_people_and_stand_on_the_floor(tmp_path: Path) -> None:
    pytest.importorskip("anny", reason="anny is not installed for this Python")
    folders = [tmp_path / name for name in ("one", "two")]
    for folder, count in zip(folders, (10, 2), strict=True):
        anny_people.make_people(count, folder, 0)
    rows = list(csv.DictReader((folders[0] / "models.csv").open()))
    assert {row["role"] for row in rows} == {"person", "seatedperson"}
    again = [path.name for path in folders[1].glob("*.obj")]
    assert len(again) == 2
    for name in again:
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()
    for row in rows:
        path = folders[0] / row["file"]
        corners = read_obj(path)
        size = [float(row[k]) for k in ("width", "height", "depth")]
        np.testing.assert_allclose(np.ptp(corners, axis=0), size, atol=2e-4)
        assert corners[:, 1].min() == pytest.approx(0, abs=0.03)
        upright = row["file"].startswith(("standing", "walking", "reaching"))
        assert 0.78 < size[1] < 2.1 if upright else 0.6 < size[1] < 1.6
        assert 0.25 < size[0] < 1.3
        used = {line.split()[1] for line in path.read_text().splitlines() if "usemtl" in line}
        defined = path.with_suffix(".mtl").read_text()
        assert all(f"newmtl {material}\n" in defined for material in used)
        if row["file"].startswith(("standing", "sitting")):  # the toes before the head
            toes = corners[corners[:, 1] < 0.05 * size[1]]
            assert toes[:, 2].max() > corners[corners[:, 1] > 0.8 * size[1], 2].mean()
        if row["role"] == "seatedperson":  # the seat: the lowest behind the knees
            behind = corners[corners[:, 2] < corners[:, 2].min() + 0.25]
            assert 0.34 < behind[:, 1].min() < 0.54
    assert len({row["file"].split("-")[0] for row in rows}) >= 4
    assert len(POSES) >= 6
