"""Plans and furnishing of generated worlds, without the renderer."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mtpano_model.worlds.camera import find_view, is_worth_a_picture
from mtpano_model.worlds.catalogue import TABLE, Catalogue, Model, nyu40_labels
from mtpano_model.worlds.drive import plan_drive
from mtpano_model.worlds.kinds import KINDS
from mtpano_model.worlds.outline import bay_window, cut_corner, l_shape, rectangle, t_shape
from mtpano_model.worlds.plan import Plan, Room, connect, inset, polygon_area
from mtpano_model.worlds.scene import overlaps
from mtpano_model.worlds.split import choose
from mtpano_model.worlds.textures import KINDS as TEXTURES
from mtpano_model.worlds.textures import Texture, TexturePool
from mtpano_model.worlds.world import Stock, World, make_world


class PlainTextures(TexturePool):
    """Names and sizes alone: pictures take seconds."""

    def get(self, name: str) -> Texture:
        return Texture(name, name.rsplit("_", 1)[0], 1.0)


def plain_stock() -> Stock:
    """Two blocks for each role of the table, sized as such things are."""
    roles: dict[str, list[Model]] = {}
    sizes = {
        "bed": (1.6, 2.0, 0.6),
        "person": (0.5, 0.4, 1.7),
        "car": (1.9, 4.3, 1.5),
        "tree": (3, 3, 6),
    }
    labels = nyu40_labels()
    for line in TABLE.read_text(encoding="utf-8").splitlines()[1:]:
        role, name, *_ = line.split(",")
        size = sizes.get(role, (0.5, 0.45, 0.8))
        roles[role] = [Model(f"test#{role}{i}", role, labels[name], size) for i in (1, 2)]
    textures = PlainTextures(Path("nowhere"), "train")
    return Stock("train", Catalogue(roles), textures, ["bpy:sunset"])


STOCK = plain_stock()


def worlds(kind: str, count: int = 2) -> Iterator[World]:
    for number in range(count):
        yield make_world(kind, 3, number, STOCK)


@pytest.mark.parametrize("kind", KINDS)
def test_a_world_stands_where_its_rooms_are_and_nothing_overlaps(kind: str) -> None:
    for world in worlds(kind):
        assert world.plan.rooms[0].area > 1
        for i, a in enumerate(world.plan.rooms):
            for b in world.plan.rooms[i + 1 :]:
                assert not b.contains(*a.middle) or not a.contains(*b.middle)
        on_floor = [m for m in world.scene.models if m.z == 0 and m.label not in (5, 31)]
        outdoors = world.plan.outdoors
        for i, a in enumerate(on_floor):
            inside = any(r.contains(a.x, a.y) for r in world.plan.rooms)
            assert inside or outdoors, f"{world.name}: {a.key} stands outside"
            if not outdoors:  # a hedge's bushes touch each other
                assert not any(overlaps(a.box, b.box, -0.02) for b in on_floor[i + 1 :]), a.key


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_world_and_another_another(kind: str, tmp_path: Path) -> None:
    def saved(seed: int) -> bytes:
        world = make_world(kind, seed, 0, STOCK)
        world.scene.save(tmp_path, {})
        with np.load(tmp_path / "surfaces.npz") as arrays:
            meshes = b"".join(arrays[name].tobytes() for name in sorted(arrays.files))
        return meshes + (tmp_path / "scene.json").read_bytes()

    assert saved(1) == saved(1)
    assert saved(1) != saved(2)


@pytest.mark.parametrize("kind", KINDS)
def test_cameras_stand_free_in_a_room_at_a_robot_s_height(kind: str) -> None:
    for world in worlds(kind, 2):
        views = []
        for _ in range(6):
            view = find_view(world.plan, world.scene, random.Random(len(views)), views)
            if view is None:
                continue
            views.append(view)
            x, y, z = view.position
            assert 0.1 <= z <= 2.3
            assert abs(view.pitch) <= np.radians(15) >= abs(view.roll)
            if view.style not in ("under", "doorway"):
                assert world.plan.rooms[view.room].contains(x, y)
                inside = [b for b in world.scene.occupied
                          if b[0] < x < b[3] and b[1] < y < b[4] and b[2] < z < b[5]]  # fmt: skip
                assert not inside
            axes = view.world_from_camera()
            np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
            assert np.linalg.det(axes) == pytest.approx(1)
            if view.pitch == view.roll == 0:
                np.testing.assert_allclose(axes[:, 1], (0, 0, -1), atol=1e-12)
        assert views


def test_every_room_of_a_home_can_be_reached() -> None:
    for world in worlds("home", 12):
        assert (
            all(any(w.shared for w in room.walls) for room in world.plan.rooms)
            or len(world.plan.rooms) == 1
        )


def test_large_places_and_small_ones_are_both_drawn() -> None:
    lengths = [max(KINDS[k].plan(random.Random(i)).rooms[0].size) for k in KINDS for i in range(20)]
    assert min(lengths) < 6 < 50 < max(lengths) < 61
    closets = [min(r.size) for i in range(60) for r in KINDS["home"].plan(random.Random(i)).rooms]
    assert 0.75 < min(closets) < 1.5


def test_people_are_in_about_half_of_the_worlds() -> None:
    peopled = [any(m.label == 31 for m in w.scene.models) for w in worlds("meeting", 24)]
    assert 0.3 < np.mean(peopled) < 0.7


@pytest.mark.parametrize("seed", range(20))
def test_outlines_run_counterclockwise_and_close(seed: int) -> None:
    rng = random.Random(seed)
    outlines = (
        rectangle(4, 3),
        l_shape(rng, 6, 5, 2),
        t_shape(rng, 7, 5, 2),
        cut_corner(rng, rectangle(5, 4)),
        bay_window(rng, rectangle(5, 4), 0),
    )
    for outline in outlines:
        assert polygon_area(outline) > 3
    shrunk = inset(rectangle(4, 3), 0.1)
    assert polygon_area(shrunk) == pytest.approx(3.8 * 2.8)


def test_a_doorway_is_cut_at_the_same_place_on_both_sides() -> None:
    a, b = Room(rectangle(4, 3), "living", 2.5), Room(rectangle(3, 5, 4.2, -1), "bedroom", 2.5)
    assert connect(a, b, 0.9, 2.0, 0.3, "ajar", 1.0)
    (wall, mine), (other, theirs) = (
        next((w, o) for w in r.walls for o in w.openings) for r in (a, b)
    )
    assert (mine.leaf, theirs.leaf) == ("ajar", "none")
    across = wall.point(mine.start, -0.2)
    np.testing.assert_allclose(across, other.point(theirs.end), atol=1e-9)
    far_away = Room(rectangle(3, 5, 9, 9), "bedroom", 2.5)
    assert not connect(a, far_away, 0.9, 2.0, 0.3, "ajar")


def test_a_drive_is_smooth_stays_free_and_faces_where_it_goes() -> None:
    driven = 0
    for world in worlds("meeting", 4):
        drive = plan_drive(world.plan, world.scene, random.Random(1), 20.0)
        if drive is None:
            continue
        driven += 1
        assert len(drive.views) == 200
        steps = np.hypot(*np.diff(drive.base[:, :2], axis=0).T)
        assert steps.max() <= 0.101
        turns = np.abs(np.diff(drive.base[:, 2]))
        assert turns.max() <= np.radians(6) + 1e-9
        for x, y, _ in drive.base:
            # In a doorway it is between two rooms.
            near = [(x + dx, y + dy) for dx in (-0.3, 0, 0.3) for dy in (-0.3, 0, 0.3)]
            assert any(r.contains(*p) for r in world.plan.rooms for p in near)
            assert not any(
                b[0] < x < b[3] and b[1] < y < b[4] and b[2] < 0.3 for b in world.scene.occupied
            )
    assert driven


def test_the_first_quarter_by_digest_is_held_out() -> None:
    import hashlib

    names = [f"library#{i}" for i in range(41)]
    ranked = sorted(names, key=lambda n: hashlib.sha1(b"split1:" + n.encode()).hexdigest())
    assert choose(names, "heldout") == ranked[:10]
    assert choose(names, "train") == ranked[10:]
    assert choose(["one"], "heldout") == []
    assert len(choose(["one", "two"], "heldout")) == len(choose(["one", "two"], "train")) == 1
    for kind in TEXTURES:
        pools = [TexturePool(Path("nowhere"), side).names(kind) for side in ("train", "heldout")]
        assert not set(pools[0]) & set(pools[1])


def test_a_plan_is_saved_as_plain_data(tmp_path: Path) -> None:
    world = make_world("meeting", 1, 0, STOCK)
    assert isinstance(world.plan, Plan)
    world.scene.save(tmp_path, {"test#chair1": {"path": "x.obj"}})
    data = json.loads((tmp_path / "scene.json").read_text(encoding="utf-8"))
    assert {p["key"] for p in data["placed"]} == {m.key for m in world.scene.models}
    with np.load(tmp_path / "surfaces.npz", allow_pickle=False) as arrays:
        for number in range(len(data["groups"])):
            assert arrays[f"n{number}"].sum() == len(arrays[f"l{number}"])
            assert arrays[f"l{number}"].max() < len(arrays[f"v{number}"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_world_is_built_even_without_any_furniture(kind: str) -> None:
    bare = Stock("heldout", Catalogue({}), PlainTextures(Path("nowhere"), "heldout"), ["bpy:city"])
    world = make_world(kind, 1, 0, bare)
    assert not world.scene.models
    assert {g.label for g in world.scene.groups.values()} >= {1, 2}
    assert world.scene.sky.name == "bpy:city"


def test_a_view_is_refused_for_what_is_too_near_but_not_for_its_own_carrier() -> None:
    depth = np.full((64, 128), 2.0)
    label = np.ones((64, 128), np.uint8)
    assert is_worth_a_picture(depth, label, "open")
    depth[44:] = 0.1
    assert not is_worth_a_picture(depth, label, "open")
    label[44:] = 41
    assert is_worth_a_picture(depth, label, "open")
    assert not is_worth_a_picture(np.full((64, 128), 0.4), label, "open")


def test_carriers_are_drawn_below_the_camera_in_part_of_the_views() -> None:
    from mtpano_model.worlds.camera import View
    from mtpano_model.worlds.rig import draw_rig

    seen = 0
    for number in range(200):
        view = View((3.0, -2.0, 1.2), 0.1 * number, 0.1, -0.1)
        axes = view.world_from_camera()
        parts = draw_rig(random.Random(number), 1.2, axes, view.position)
        seen += bool(parts)
        for part in parts:
            below = (np.array(part["v"]) - view.position) @ axes[:, 1]
            assert part["label"] == 41
            assert 0.0 < below.min() < below.max() < 1.3
    assert 40 < seen < 80
    assert draw_rig(random.Random(1), 0.2, axes, view.position) == ()
