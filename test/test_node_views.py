"""Pinhole views of an active node: what a depth camera's consumer computes is the room."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from node_harness import image, robot, wait_until
from robot_frames import KnownTransforms
from robot_room import cast, down_after
from room_answers import ray_picture
from room_node import see_room, write_room_model
from sensor_msgs.msg import CameraInfo, Image

from mtpano_model.geometry import sphere
from mtpano_model.robot.turning import level_rotation
from mtpano_ros.tools.reading import image_array

KINDS = ("image", "depth", "semantic", "normals", "camera_info")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_room_model(tmp_path_factory.mktemp("model"))


def listen(bot, names, kinds=KINDS):
    """Topic -> its messages."""
    received = {}
    for name in names:
        for kind in kinds:
            topic = f"views/{name}/{kind}"
            kept = received[name, kind] = []
            one = bot.world.create_subscription(
                CameraInfo if kind == "camera_info" else Image, topic, kept.append, 10
            )
            wait_until(one.get_publisher_count, what=topic)
    wait_until(
        lambda: len(bot.node._output_publishers.plan().wanted) == 1, what="the node knows all"
    )
    wait_until(lambda: len(bot.node._output_publishers.plan().wanted[0][1]) == len(received))
    return received


@pytest.mark.parametrize(("layout", "count"), [("four", 4), ("cube", 6)])
def test_views_are_pinhole_cameras_in_the_room(model, layout, count):
    names = ("front", "right", "back", "left", "up", "down")[:count]
    settings = {"views.layout": layout, "views.size": "60x60", "outputs.size": "256x512"}
    with robot(model, **settings) as bot:
        bot.activate()
        see_room(bot)
        bot.node._listening.mounting.transforms = known = KnownTransforms()
        received = listen(bot, names)
        sent = image(ray_picture())
        bot.process(sent)
        wait_until(lambda: all(received.values()), what="every view")
        turns = {child: turn for _, child, turn, _ in known.published}
        for name in names:
            check_view({kind: received[name, kind][0] for kind in KINDS}, turns, sent.header)


def check_view(view, turns, sent):
    info = view["camera_info"]
    k = np.array(info.k).reshape(3, 3)
    assert (info.distortion_model, list(info.d)) == ("plumb_bob", [0.0] * 5)
    np.testing.assert_array_equal(np.array(info.p).reshape(3, 4)[:, :3], k)
    np.testing.assert_array_equal(np.array(info.r).reshape(3, 3), np.eye(3))
    for one in view.values():
        assert one.header.stamp == sent.stamp
        assert one.header.frame_id == info.header.frame_id
    turn = turns[info.header.frame_id]
    rows, columns = np.mgrid[: info.height, : info.width]
    rays = np.stack([columns, rows, np.ones_like(rows)], -1) @ np.linalg.inv(k).T
    world = rays @ turn.T
    true, normals, ids = cast(world)  # metres along the view's axis, since rays have z = 1
    z = image_array(view["depth"])
    inside = np.isfinite(z) & np.isfinite(true)
    near = np.abs(z - true) < np.maximum(0.02, 0.03 * true)
    assert near[inside].mean() > 0.97
    assert (image_array(view["semantic"]) == ids)[inside].mean() > 0.97
    cosine = ((image_array(view["normals"]) @ turn.T) * normals).sum(-1)
    assert (cosine > 0.999)[inside].mean() > 0.93
    shown = image_array(view["image"]) / 127.5 - 1
    direction = world / np.linalg.norm(world, axis=-1, keepdims=True)
    # Half a pixel of 512 columns is 0.35 degrees.
    assert np.percentile((shown * direction).sum(-1) / np.linalg.norm(shown, axis=-1), 2) > 0.9999


def test_views_of_a_tilted_camera_turn_with_the_camera(model):
    down = down_after((0.6, 0, 0.8), 15)
    settings = {"views.layout": "ahead 20 5 70 50x60", "outputs.size": "256x512"}
    with robot(model, **settings) as bot:
        bot.activate()
        see_room(bot, down=down)
        bot.node._listening.mounting.transforms = known = KnownTransforms()
        received = listen(bot, ["ahead"], ("depth", "camera_info"))
        bot.process(image())
        wait_until(lambda: all(received.values()))
        info, z = received["ahead", "camera_info"][0], image_array(received["ahead", "depth"][0])
        ((_, _, turn, _),) = known.published
        np.testing.assert_allclose(
            turn @ (0, 0, 1), sphere.yaw_matrix(np.radians(20)) @ (0, -np.sin(np.radians(5)),
            np.cos(np.radians(5))), atol=1e-9,
        )  # fmt: skip
        rows, columns = np.mgrid[: info.height, : info.width]
        k = np.array(info.k).reshape(3, 3)
        rays = np.stack([columns, rows, np.ones_like(rows)], -1) @ np.linalg.inv(k).T
        true, _, _ = cast(rays @ turn.T @ level_rotation(down).T)
        inside = np.isfinite(z) & np.isfinite(true)
        assert (np.abs(z - true) < np.maximum(0.02, 0.03 * true))[inside].mean() > 0.97


def test_only_the_views_that_somebody_wants_are_made(model):
    with robot(model, views__layout="four") as bot:
        bot.activate()
        see_room(bot)
        received = listen(bot, ["left"], ("camera_info",))
        calls = []
        infer = bot.node._estimator.infer
        bot.node._estimator.infer = lambda batch: calls.append(1) or infer(batch)
        bot.process(image())
        wait_until(lambda: received["left", "camera_info"])
        assert calls == [], "an intrinsic matrix needs no network"


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ("five", "expected four, cube, or views as NAME YAW PITCH FOV HEIGHTxWIDTH"),
        ("front 0 0 90", "expected four, cube"),
        ("front 0 0 0 48x48", "field of view of 0 degrees"),
        ("front 0 0 180 48x48", "field of view of 180 degrees"),
        ("front nan 0 90 48x48", "looks nowhere"),
        ("front 0 99 90 48x48", "looks nowhere"),
        ("front 0 0 90 48", "HEIGHTxWIDTH"),
        ("a/b 0 0 90 48x48", "cannot be part of a topic's name"),
        ("a 0 0 90 48x48; a 90 0 90 48x48", "two views are named 'a'"),
        ("a 0 0 90 9000x9000", "cannot be: expected 2 to 4096"),
    ],
)
def test_what_is_no_view_is_refused_in_one_sentence(model, layout, said):
    with robot(model, views__layout=layout) as bot:
        assert bot.node.trigger_configure().name == "FAILURE"
        wait_until(lambda: bot.said("configure failed"), what="the reason")
        (line,) = bot.said("configure failed")
        assert said in line


def test_views_that_overlap_are_made_and_said(model):
    with robot(model, views__layout="a 0 0 90 48x48; b 10 0 90 48x48") as bot:
        bot.activate()
        wait_until(lambda: any("overlap by more than half" in log.msg for log in bot.logs))


def test_a_recipe_s_view_that_is_not_made_is_one_sentence_once(model):
    with robot(model) as bot:
        bot.activate()
        bot.world.create_subscription(Image, "views/front/depth", lambda _: None, 1)
        said = "/mtpano/views/front/depth: /mtpano/world listens, but there is no such view"
        wait_until(lambda: bot.said(said), what="the warning")
        time.sleep(1.5)
        assert len(bot.said(said)) == 1
        assert "views.layout" in bot.said(said)[0]
