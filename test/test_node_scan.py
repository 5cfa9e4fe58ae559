"""The scan of an active node in the room, tilted or not, in a frame that stands upright."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from node_harness import image, parameters, robot
from robot_frames import KnownTransforms
from robot_room import HEIGHT, down_after, rotation_about
from room_node import see_room, write_room_model

from mtpano_model.geometry.sphere import OPTICAL_FROM
from mtpano_model.robot.attitude import Attitude
from mtpano_model.robot.transforms import Transform, quaternion_of

STAMP = 1_700_000_000_000_000_000
FRAME = "camera_optical_frame"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_room_model(tmp_path_factory.mktemp("model"))


def scan_of(bot, number=1):
    scan = bot.outputs("scan", number)[number - 1]
    ranges = np.array(scan.ranges)
    azimuth = scan.angle_min + np.arange(len(ranges)) * scan.angle_increment
    return scan, ranges, azimuth


def check_room(ranges, azimuth):
    """The walls 2 m behind and 2.5 m left, the corridor's through the door ahead, nothing right."""
    at = {
        name: ranges[np.abs(np.angle(np.exp(1j * (azimuth - np.radians(angle))))).argmin()]
        for name, angle in {"ahead": 0, "left": 90, "behind": 180, "right": -80}.items()
    }
    assert at["ahead"] == pytest.approx(4.5, abs=0.03)
    assert at["left"] == pytest.approx(2.5, abs=0.03)
    assert at["behind"] == pytest.approx(2.0, abs=0.03)
    return at


def hold(bot, down):
    """The camera is held so, and its transforms are kept instead of sent."""
    mounting = bot.node._listening.mounting
    mounting.transforms = KnownTransforms()
    mounting.attitude_source.at = lambda stamp, frame: Attitude(np.array(down))
    mounting.attitude_source.keeps = True
    return mounting.transforms


def test_a_scan_obeys_slam_toolbox_s_rule_and_lies_in_the_camera_s_body_frame(model):
    with robot(model, camera_height=HEIGHT, outputs__size="128x256", scan__max_range=8.0) as bot:
        bot.activate()
        see_room(bot)
        bot.node._listening.mounting.transforms = known = KnownTransforms()
        bot.listen("scan")
        bot.process(image(stamp=STAMP))
        scan, ranges, azimuth = scan_of(bot)
        assert scan.header.frame_id == f"{FRAME}_body"
        assert scan.header.stamp.sec == STAMP // 10**9
        # slam_toolbox counts the ranges so, and takes a full circle for one without its last.
        count = np.round((scan.angle_max - scan.angle_min) / scan.angle_increment)
        assert count == len(ranges) - 1
        assert scan.angle_max - scan.angle_min < 2 * np.pi
        assert scan.angle_increment > 0
        check_room(ranges, azimuth)
        ((parent, child, turn, static),) = known.published
        assert (parent, child, static) == (FRAME, f"{FRAME}_body", True)
        np.testing.assert_allclose(turn @ (1, 0, 0), (0, 0, 1), atol=1e-9)  # x is ahead
        np.testing.assert_allclose(turn @ (0, 0, 1), (0, -1, 0), atol=1e-9)  # z is up


@pytest.mark.parametrize("angle", [5, 15, 30])
def test_with_level_it_lies_in_an_upright_frame_that_is_sent_for_every_image(model, angle):
    down = down_after((0.6, 0, 0.8), angle)
    settings = {"level": "self", "outputs.size": "256x512", "scan.max_range": 8.0}
    with robot(model, camera_height=HEIGHT, **settings) as bot:
        bot.activate()
        see_room(bot)
        known = hold(bot, down)
        bot.listen("scan")
        bot.process(image(stamp=STAMP))
        scan, ranges, azimuth = scan_of(bot)
        assert scan.header.frame_id == f"{FRAME}_level"
        check_room(ranges, azimuth)
        ((parent, child, turn, static),) = known.published
        assert (parent, child, static) == (FRAME, f"{FRAME}_level", False)
        np.testing.assert_allclose(turn @ (0, 0, -1), down, atol=1e-6)


def test_a_frame_of_the_robot_s_is_taken_where_it_is_at_the_camera(model):
    with robot(model, camera_height=HEIGHT, outputs__size="128x256", scan__frame="laser") as bot:
        bot.activate()
        see_room(bot)
        bot.node._listening.mounting.transforms = known = KnownTransforms()
        # x of the laser looks to the camera's left.
        turned = rotation_about((0, 0, 1), 90).T @ OPTICAL_FROM["body"].T
        known.buffer.add("laser", FRAME, Transform(quaternion_of(turned), np.zeros(3)), 0.0, True)
        bot.listen("scan")
        bot.process(image(stamp=STAMP))
        scan, ranges, azimuth = scan_of(bot)
        assert scan.header.frame_id == "laser"
        check_room(ranges, azimuth + np.pi / 2)
        moved = Transform(quaternion_of(turned), np.array([0.3, 0, 0]))
        known.buffer.add("laser", FRAME, moved, 0.0, True)
        bot.process(image(stamp=STAMP + 10**8))
        scan, ranges, azimuth = scan_of(bot, 2)
        assert scan.header.frame_id == f"{FRAME}_body"
        check_room(ranges, azimuth)
        assert bot.node._listening.mounting.state.untransformed == 1
        assert "0.30 m away" in bot.node._listening.mounting.state.untransformed_reason


def test_the_band_and_the_range_can_be_changed_while_it_runs(model):
    with robot(model, camera_height=HEIGHT, outputs__size="128x256", scan__max_range=8.0) as bot:
        bot.activate()
        see_room(bot)
        bot.listen("scan")
        bot.process(image(stamp=STAMP))
        (done,) = bot.node.set_parameters(parameters(scan__max_range=3.0))
        assert done.successful
        bot.process(image(stamp=STAMP + 10**8))
        _, ranges, azimuth = scan_of(bot, 2)
        assert np.isposinf(ranges[np.abs(azimuth).argmin()]), "the door is seen through"
        assert np.nanmax(ranges[np.isfinite(ranges)]) <= 3.0
