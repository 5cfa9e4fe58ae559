"""Clouds of an active node in the room: their frames, heights, parts and further channels."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from node_harness import image, parameters, robot, wait_until
from robot_frames import KnownTransforms
from robot_room import FLOOR_ID, HEIGHT, TABLE_ID, cast, down_after, rotation_about
from room_answers import off
from room_node import see_room, write_room_model

from mtpano_model.classes import load_class_set
from mtpano_model.geometry.sphere import OPTICAL_FROM
from mtpano_model.robot.attitude import Attitude
from mtpano_model.robot.transforms import Transform, quaternion_of
from mtpano_model.robot.turning import level_rotation
from mtpano_ros.tools.reading import cloud_array, image_array

STAMP = 1_700_000_000_000_000_000
FRAME = "camera_optical_frame"
BODY_FROM_OPTICAL = OPTICAL_FROM["body"].T


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_room_model(tmp_path_factory.mktemp("model"))


def places(cloud):
    return np.stack([cloud[axis] for axis in "xyz"], -1)


def known_points(message):
    cloud = cloud_array(message).ravel()
    return cloud[np.isfinite(cloud["x"])]


@pytest.mark.parametrize("angle", [0, 15, 30])
@pytest.mark.parametrize("convention", ["optical", "body"])
def test_clouds_agree_with_the_room_in_the_robot_s_frame(model, angle, convention):
    down = down_after((0.6, 0, 0.8), angle)
    settings = {
        "level": "self",
        "cloud.frame": "odom",
        "outputs.size": "256x512",
        "outputs.frame_convention": convention,
    }
    with robot(model, camera_height=HEIGHT, **settings) as bot:
        bot.activate()
        see_room(bot)
        mounting = bot.node._listening.mounting
        mounting.transforms = known = KnownTransforms()
        mounting.attitude_source.at = lambda stamp, frame: Attitude(down)
        # odom: upright, its origin on the floor 2 m behind and 1 m left of the camera.
        upright = BODY_FROM_OPTICAL @ level_rotation(down) @ OPTICAL_FROM[convention]
        where = np.array([2.0, 1.0, HEIGHT])
        known.buffer.add("odom", FRAME, Transform(quaternion_of(upright), where), STAMP / 1e9)
        bot.listen("points", "points/obstacles", "points/floor", "points/semantic")
        bot.process(image(stamp=STAMP))
        got = {name: bot.outputs(name, 1)[0] for name in bot.received}
    for message in got.values():
        assert message.header.frame_id == "odom"
    points = known_points(got["points"])
    room = (places(points) - where) @ OPTICAL_FROM["body"].T  # a level camera's optical axes
    assert np.percentile(off(room) / np.maximum(1, np.linalg.norm(room, axis=1)), 95) < 0.02
    np.testing.assert_allclose(points["height"], points["z"], atol=0.01)
    normals = np.stack([points[f"normal_{axis}"] for axis in "xyz"], -1)
    _, true_normals, _ = cast(room)
    cosine = (normals @ OPTICAL_FROM["body"].T * true_normals).sum(-1)
    assert np.nanpercentile(cosine, 10) > 0.999
    floor, obstacles = known_points(got["points/floor"]), known_points(got["points/obstacles"])
    assert np.abs(floor["z"]).max() < 0.21
    assert obstacles["z"].min() > 0.04
    assert obstacles["z"].max() < 2.01
    assert (floor["label"] == FLOOR_ID).mean() > 0.97
    assert (obstacles["label"] == TABLE_ID).sum() == pytest.approx(
        (points["label"] == TABLE_ID).sum(), rel=0.02
    )
    semantic = known_points(got["points/semantic"])
    names = load_class_set("indoor18").names
    assert semantic.dtype.names == ("x", "y", "z", *(name.replace(" ", "_") for name in names))
    assert (semantic[names[FLOOR_ID]] == 1).sum() == (points["label"] == FLOOR_ID).sum()
    np.testing.assert_array_equal(places(semantic), places(points))


def test_the_body_frame_needs_nobody(model):
    with robot(model, cloud__frame="body", cloud__stride=2) as bot:
        bot.activate()
        see_room(bot)
        bot.node._listening.mounting.transforms = known = KnownTransforms()
        bot.listen("points", "range_grid")
        bot.process(image(stamp=STAMP))
        points, grid = (bot.outputs(name, 1)[0] for name in ("points", "range_grid"))
    assert {points.header.frame_id, grid.header.frame_id} == {f"{FRAME}_body"}
    assert {(parent, child, static) for parent, child, _, static in known.published} == {
        (FRAME, f"{FRAME}_body", True)
    }
    assert [field.name for field in points.fields][-1] == "label", "no height without one given"
    room = places(known_points(points)) @ OPTICAL_FROM["body"].T
    assert np.percentile(off(room), 90) < 0.03
    # nvblox: the cell that a point falls on is its own, in an organised cloud of even width.
    cloud = places(cloud_array(grid))
    height, width = cloud.shape[:2]
    fov = np.pi * (height - 1) / height
    reach = np.linalg.norm(cloud, axis=-1)
    found = np.isfinite(reach)
    elevation = np.arcsin(cloud[..., 2][found] / reach[found])
    azimuth = np.arctan2(cloud[..., 1][found], cloud[..., 0][found])
    rows, columns = np.nonzero(found)
    assert width % 2 == 0
    down = (fov / 2 - elevation) / (fov / (height - 1))
    along = (azimuth + np.pi) / (2 * np.pi / width) % width
    assert np.abs(down - rows).max() < 0.01
    assert (np.abs((along - columns + width / 2) % width - width / 2)).max() < 0.01


def test_a_frame_that_nobody_publishes_is_said_and_the_cloud_comes_in_its_own(model):
    with robot(model, cloud__frame="nowhere") as bot:
        bot.activate()
        see_room(bot)
        bot.listen("points")
        for number in range(3):
            bot.process(image(stamp=STAMP + number * 10**8))
        got = bot.outputs("points", 3)
        assert {one.header.frame_id for one in got} == {FRAME}
        wait_until(
            lambda: bot.diagnostics and bot.values("geometry")["untransformed"] == "3",
            what="the count",
        )
        assert bot.message("geometry")


@pytest.mark.parametrize("late", [0.02, None])
def test_an_image_waits_once_for_a_transform_that_may_still_come(model, late):
    from threading import Timer

    from mtpano_ros.mounting.transforms import PATIENCE_SECONDS, Transforms

    with robot(model) as bot:
        transforms = Transforms(bot.node)
        transforms._listener = known = KnownTransforms().buffer
        known.close = lambda: None
        still = Transform(quaternion_of(np.eye(3)), np.zeros(3))
        known.add("odom", "base", still, 1.0)
        if late is not None:
            Timer(late, lambda: known.add("odom", "base", still, 3.0)).start()
            assert transforms.wait_for("odom", "base", 2.0) is not None
            return
        import time

        from mtpano_model.robot.transforms import TransformError

        spent = []
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(TransformError):
                transforms.wait_for("odom", "base", 2.0)
            spent.append(time.monotonic() - began)
        assert spent[0] >= PATIENCE_SECONDS
        assert max(spent[1:]) < PATIENCE_SECONDS


def test_hanging_points_leave_clouds_views_and_scan_but_keep_their_labels(model):
    with robot(model, outputs__size="256x512") as bot:
        bot.activate()
        see_room(bot)
        bot.listen("points", "depth")
        bot.process(image(stamp=STAMP))
        bot.node.set_parameters(parameters(edge_filter=0.0))
        bot.process(image(stamp=STAMP + 10**8))
        filtered, whole = (cloud_array(one) for one in bot.outputs("points", 2))
        depths = [image_array(one) for one in bot.outputs("depth", 2)]
    np.testing.assert_array_equal(*depths, "the depth image itself is left as it is")
    np.testing.assert_array_equal(filtered["label"], whole["label"])
    dropped = np.isfinite(whole["x"]) & ~np.isfinite(filtered["x"])
    assert 0 < dropped.mean() < 0.05
    hanging = off(places(whole)[dropped])
    kept = off(places(filtered)[np.isfinite(filtered["x"])])
    assert np.median(hanging) > 5 * np.median(kept)


def test_confidence_is_low_where_the_answer_contradicts_itself(model):
    with robot(model, outputs__size="128x256") as bot:
        bot.activate()
        see_room(bot)
        answer = bot.node._estimator.infer

        def doubtful(batch):
            outputs = answer(batch)
            outputs["normals"][..., :100] = -np.eye(3)[1][None, :, None, None]  # all look up
            outputs["depth"][..., 60:70, 200:210] = np.nan
            return outputs

        bot.node._estimator.infer = doubtful
        bot.listen("confidence")
        bot.process(image(stamp=STAMP))
        message = bot.outputs("confidence", 1)[0]
    assert message.encoding == "mono8"
    sure = image_array(message)
    assert np.median(sure[40:90, 110:190]) > 240
    assert np.median(sure[55:72, 10:90]) < 40
    assert not sure[61:69, 201:209].any()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cloud.frame": "a b"}, "expected the name of a TF frame"),
        ({"cloud.frame": "/odom"}, "which tf2 refuses: expected 'odom', without the slash"),
        ({"scan.frame": "/odom"}, "which tf2 refuses: expected 'odom', without the slash"),
        ({"outputs.frame_id": "/cam"}, "which tf2 refuses: expected 'cam', without the slash"),
        ({"cloud.classes": "floor, unicorn"}, "the model knows no class 'unicorn'"),
        ({"obstacles.min_height": 3.0}, "expected 0 <= minimum < maximum"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(model, given, said):
    with robot(model, **given) as bot:
        assert bot.node.trigger_configure().name == "FAILURE"
        wait_until(lambda: bot.said("configure failed"), what="the reason")
        (line,) = bot.said("configure failed")
        assert said in line


def test_a_camera_that_turns_about_the_vertical_turns_the_cloud_only(model):
    with robot(model, cloud__frame="odom", outputs__size="128x256") as bot:
        bot.activate()
        see_room(bot)
        bot.node._listening.mounting.transforms = known = KnownTransforms()
        for second, degrees in ((0.0, 0), (1.0, 90)):
            turn = rotation_about((0, 0, 1), degrees) @ BODY_FROM_OPTICAL
            stamp = STAMP / 1e9 + second
            known.buffer.add("odom", FRAME, Transform(quaternion_of(turn), np.zeros(3)), stamp)
        bot.listen("points")
        bot.process(image(stamp=STAMP + 5 * 10**8))
        points = places(known_points(bot.outputs("points", 1)[0]))
    turn = rotation_about((0, 0, 1), 45) @ BODY_FROM_OPTICAL
    assert np.percentile(off(points @ turn), 90) < 0.03


def test_what_nobody_wants_costs_nothing(model, monkeypatch):
    from mtpano_model.robot.edge_filter import EdgeFilter
    from mtpano_model.robot.scan import Scanner
    from mtpano_model.robot.views import ViewSampler
    from mtpano_ros.frames.corrector import Corrector

    made = []
    for kind, name in (
        (EdgeFilter, "hanging"),
        (Scanner, "__call__"),
        (ViewSampler, "_at"),
        (KnownTransforms, "publish"),
    ):
        monkeypatch.setattr(kind, name, lambda *_, name=name, **__: made.append(name))
    adjusted = []
    plain = Corrector.adjustment

    def adjustment(self, pose, needs):
        adjusted.append(plain(self, pose, needs))
        return adjusted[-1]

    monkeypatch.setattr(Corrector, "adjustment", adjustment)
    with robot(model, views__layout="four") as bot:
        bot.activate()
        see_room(bot)
        bot.node._listening.mounting.transforms = KnownTransforms()
        bot.listen("depth", "semantic")
        for number in range(3):
            bot.process(image(stamp=STAMP + number))
    assert made == []
    # Whether the scale is to be trusted is looked at once a second.
    assert [one is not None for one in adjusted][:2] == [True, False]
