"""Level and scale on an active node: what the network is shown, and what comes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from diagnostic_msgs.msg import DiagnosticStatus
from node_harness import image, parameters, robot, stamped, wait_until
from rclpy.qos import qos_profile_sensor_data
from rig_robot import Lenses, picture, rig_file, seen_by, two_fisheyes
from robot_room import HEIGHT, down_after, seen
from room_answers import SIZE, ray_picture
from room_node import see_room, write_room_model
from sensor_msgs.msg import Image, Imu

from mtpano_model.geometry.sphere import rays as level_rays
from mtpano_ros.tools.reading import image_array

TILT = down_after((0.6, 0, 0.8), 15)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_room_model(tmp_path_factory.mktemp("model"))


def imu(down, stamp, **changes):
    """What an IMU in the camera's body axes feels at rest: 9.81 m/s2 upwards."""
    message = stamped(Imu(), stamp)
    message.header.frame_id = "imu_link"
    message.orientation_covariance[0] = -1.0
    felt = -9.81 * np.array([down[2], -down[0], -down[1]])  # optical to body
    acceleration = message.linear_acceleration
    acceleration.x, acceleration.y, acceleration.z = felt.tolist()
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def feel(bot, *messages):
    publisher = bot.world.create_publisher(Imu, "imu", qos_profile_sensor_data)
    wait_until(publisher.get_subscription_count, what="the node listens to the IMU")
    for message in messages:
        publisher.publish(message)


def attitude_is(bot, state):
    wait_until(lambda: bot.diagnostics and bot.values("geometry")["attitude"] == state, 15)


STAMP = 1_700_000_000_000_000_000


def test_a_tilted_camera_with_an_imu_gives_its_own_frame_pixel_for_pixel(model):
    shown = []
    with robot(model, level="imu", attitude__imu_rotation="0 0 0", outputs__size="128x256") as bot:
        bot.activate()
        see_room(bot, pictures=shown)
        bot.listen("depth", "normals", "semantic")
        feel(bot, *(imu(TILT, STAMP + k) for k in range(3)))
        wait_until(
            lambda: bot.node._listening.mounting.attitude(STAMP / 1e9, "x").state == "measured"
        )
        bot.process(image(ray_picture(TILT), stamp=STAMP))
        depth, normals, labels = (
            image_array(bot.outputs(name, 1)[0]) for name in ("depth", "normals", "semantic")
        )
    # The network was shown the level room: its rays are the picture's colours.
    error = np.abs(shown[0][0].astype(int) - ray_picture(height=SIZE[0]).astype(int))
    assert np.percentile(error, 99) <= 6
    true, true_normals, true_labels = seen(TILT, SIZE)
    inside = np.isfinite(true) & np.isfinite(depth)
    close = np.abs(depth - true) < np.maximum(0.01, 0.02 * true)
    assert close[inside].mean() > 0.97
    assert (labels == true_labels)[inside].mean() > 0.98
    cosine = (normals * true_normals).sum(-1)
    assert np.nanpercentile(cosine[inside], 5) > 0.999


def test_where_no_lens_looks_the_network_has_no_say_in_level_and_scale(model, tmp_path):
    """One lens that looks ahead, of a camera that is tilted; behind it the network sees a pit."""
    rig = two_fisheyes()
    rig = replace(rig, lenses=rig.lenses[:1])
    shown = []
    with robot(
        model, level="imu", attitude__imu_rotation="0 0 0", outputs__size="128x256",
        camera_height=HEIGHT, rig=rig_file(tmp_path, rig),
    ) as bot:  # fmt: skip
        bot.activate()
        behind = level_rays(*SIZE)[..., 2] < np.cos(np.radians(125))
        see_room(bot, scale=1 / 3, pictures=shown, pit=behind)
        bot.listen("depth", "semantic")
        feel(bot, *(imu(TILT, STAMP + k) for k in range(3)))
        wait_until(
            lambda: bot.node._listening.mounting.attitude(STAMP / 1e9, "x").state == "measured"
        )
        pictures = seen_by(rig, ray_picture(TILT))
        Lenses(bot, {"front": Image}).send("front", picture("front", pictures["front"], STAMP))
        depth, labels = (image_array(bot.outputs(name, 1)[0]) for name in ("depth", "semantic"))
        wait_until(lambda: bot.values("geometry")["scale_factor"] == "3.000", 15)
    angle = np.degrees(np.arccos(level_rays(*SIZE)[..., 2]))  # from the lens's axis
    assert np.isnan(depth[angle > 105]).all()
    assert (labels[angle > 105] == 255).all()
    true, _, true_labels = seen(TILT, SIZE)
    inside = np.isfinite(true) & (angle < 95)
    assert np.isfinite(depth[inside]).mean() > 0.95
    assert np.nanmedian(np.abs(depth / true - 1)[inside]) < 0.01
    assert (labels == true_labels)[inside].mean() > 0.97


def test_a_hall_comes_back_to_true_metres_and_diagnostics_say_so(model):
    with robot(model, camera_height=HEIGHT, outputs__size="128x256") as bot:
        bot.activate()
        see_room(bot, scale=1 / 3)
        bot.listen("depth")
        bot.process(image())
        depth = image_array(bot.outputs("depth", 1)[0])
        true, _, _ = seen(np.array([0.0, 1, 0]), SIZE)
        inside = np.isfinite(true)
        assert np.nanmedian(np.abs(depth / true - 1)[inside]) < 0.01
        wait_until(lambda: bot.diagnostics and bot.values("geometry")["scale_factor"] == "3.000")
        values = bot.values("geometry")
        assert float(values["predicted_height_m"]) == pytest.approx(HEIGHT / 3, rel=0.01)
        assert 0.3 < float(values["floor_share"]) < 1


def test_without_a_height_an_implausible_one_is_a_warning_and_changes_nothing(model):
    with robot(model, outputs__size="128x256") as bot:
        bot.activate()
        see_room(bot, scale=1 / 3)
        bot.listen("depth")
        bot.process(image())
        depth = image_array(bot.outputs("depth", 1)[0])
        true, _, _ = seen(np.array([0.0, 1, 0]), SIZE)
        assert np.nanmedian(depth / true) == pytest.approx(1 / 3, rel=0.01)
        wait_until(lambda: bot.diagnostics and bot.level("geometry") == DiagnosticStatus.WARN)
        assert "scale not to be trusted" in bot.message("geometry")


def test_the_floor_and_ceiling_alone_level_the_next_picture(model):
    with robot(model, level="self", outputs__size="128x256") as bot:
        bot.activate()
        # The first picture is not turned, since nothing is known: the network sees the tilt.
        see_room(bot, down=TILT)
        bot.listen("depth")
        bot.process(image(stamp=STAMP))
        found = bot.node._listening.mounting.attitude(STAMP / 1e9, "")
        assert found.state == "measured"
        assert np.degrees(np.arccos(found.down @ TILT)) < 1.5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: setattr(m.linear_acceleration, "z", -9.81), "upside down"),
        (lambda m: setattr(m.linear_acceleration, "z", 1.0), "m/s2"),
        (lambda m: setattr(m.linear_acceleration, "z", float("nan")), "three numbers in m/s2"),
        (lambda m: m.linear_acceleration_covariance.__setitem__(0, -1.0), "both covariances"),
        (
            lambda m: (
                m.orientation_covariance.__setitem__(0, 0.0),
                setattr(m.orientation, "x", float("nan")),
                setattr(m.linear_acceleration, "z", float("nan")),
            ),
            "quaternion of length 1",
        ),
    ],
)
def test_an_imu_that_makes_no_sense_is_one_sentence_and_the_image_comes_level(
    model, change, reason
):
    message = imu((0.0, 1, 0), STAMP)
    change(message)
    with robot(model, level="imu", attitude__imu_rotation="0 0 0") as bot:
        bot.activate()
        see_room(bot)
        bot.listen("depth")
        feel(bot, message)
        keeper = bot.node._listening.mounting.attitude_source._keeper
        wait_until(lambda: reason in keeper.at(STAMP / 1e9).reason, what=reason)
        bot.process(image(stamp=STAMP))
        bot.outputs("depth", 1)
        attitude_is(bot, "level")
        assert reason in bot.message("geometry")


def test_what_tf_does_not_know_is_said_and_the_image_comes_all_the_same(model):
    with robot(model, level="tf", camera_height="base_footprint") as bot:
        bot.activate()
        see_room(bot)
        bot.listen("depth")
        bot.process(image())
        bot.outputs("depth", 1)
        attitude_is(bot, "level")
        assert "no camera height" in bot.message("geometry")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"camera_height": 0.0}, "camera height 0 m cannot be"),
        ({"camera_height": -1.0}, "camera height -1 m cannot be"),
        ({"camera_height": 40}, "camera height 40 m cannot be"),
        ({"camera_height": "nan"}, "cannot be"),
        ({"camera_height": "1.2 m"}, "expected the name of a TF frame"),
        ({"level": "up"}, "expected off or imu or tf or self"),
        ({"attitude.imu_rotation": "0 0"}, "roll, pitch and yaw"),
        ({"attitude.imu_rotation": "0 inf 0"}, "roll, pitch and yaw"),
        ({"edge_filter": 90.0}, "expected 0 to 89"),
        ({"depth_finish": "planes"}, "expected off or normals"),
        ({"scan.min_height": 2.0, "scan.max_height": 1.0}, "expected scan.min_height below"),
        ({"scan.min_range": 5.0, "scan.max_range": 1.0}, "expected 0 < scan.min_range"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(model, given, said):
    with robot(model, **given) as bot:
        assert bot.node.trigger_configure().name == "FAILURE"
        wait_until(lambda: bot.said("configure failed"), what="the reason")
        (line,) = bot.said("configure failed")
        assert said in line


def test_off_is_taken_as_yaml_reads_it_and_two_limits_are_set_together(model):
    given = {"level": False, "scan.min_height": 2.0, "scan.max_height": 3.0}
    with robot(model, **given) as bot:
        bot.activate()
        assert bot.node.get_parameter("level").value == "off"
        (done,) = bot.node.set_parameters(parameters(camera_height=1))
        assert done.successful
        assert bot.node.get_parameter("camera_height").value == "1"
