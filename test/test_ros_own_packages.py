"""TF, bond, clouds and label_info through ROS's own packages, over real DDS, where those are."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tf2_ros", reason="ROS's tf2_ros is not installed")

import tf2_ros
from fake_model import default_classes
from geometry_msgs.msg import TransformStamped
from node_harness import LOG_QOS, image, robot, wait_until
from room_node import see_room, write_room_model
from scipy.spatial.transform import Rotation

from mtpano_model.geometry.sphere import OPTICAL_FROM
from mtpano_model.robot.transforms import NotYet, TransformError
from mtpano_ros.mounting import tf
from mtpano_ros.mounting.ros_time import time_of
from mtpano_ros.mounting.transforms import Transforms

CAMERA = "camera_optical_frame"
OPTICAL = Rotation.from_matrix(OPTICAL_FROM["body"].T)
HERE = (0.0, 0.0, 0.0)
T0 = 1000.0


@pytest.fixture
def model(tmp_path):
    return write_room_model(tmp_path)


def stamped(parent, child, rotation, translation, stamp=0.0):
    one = TransformStamped(child_frame_id=child)
    one.header.stamp, one.header.frame_id = time_of(stamp), parent
    turn, move = one.transform.rotation, one.transform.translation
    turn.x, turn.y, turn.z, turn.w = rotation.as_quat().tolist()
    move.x, move.y, move.z = translation
    return one


def heard(known, *question):
    """What `known` answers, once it answers."""

    def ask():
        try:
            return known.look_up(*question)
        except NotYet:
            return None

    return wait_until(ask, what=f"the transform {question}")


def test_look_ups_go_through_tf2_and_agree_with_scipy(model):
    first, last = Rotation.from_euler("xyz", (5, 10, 20), True), Rotation.from_euler("z", 80, True)
    with robot(model) as bot:
        known = Transforms(bot.node)
        with pytest.raises(NotYet):
            known.look_up("odom", "camera", T0)
        assert isinstance(known._listener, tf._Tf2)
        static = tf2_ros.StaticTransformBroadcaster(bot.world)
        static.sendTransform(stamped("base", "camera", Rotation.identity(), (0.0, 0.0, 1.2)))
        moving = tf2_ros.TransformBroadcaster(bot.world)
        heard(known, "base", "camera", T0)
        assert known.look_up("base", "camera", None)[1] == float("inf"), "of static ones alone"
        for pose, x, moment in ((first, 0.0, T0), (last, 2.0, T0 + 1)):
            moving.sendTransform(stamped("odom", "base", pose, (x, 0.0, 0.0), moment))
        heard(known, "odom", "camera", T0 + 1)
        found, moment = known.look_up("odom", "camera", T0 + 0.25)
        expected = first * Rotation.from_rotvec(0.25 * (first.inv() * last).as_rotvec())
        np.testing.assert_allclose(found.matrix, expected.as_matrix(), atol=1e-9)
        np.testing.assert_allclose(
            found.translation, np.add((0.5, 0, 0), expected.apply((0, 0, 1.2))), atol=1e-9
        )
        assert moment == T0 + 0.25
        assert known.look_up("odom", "camera", None)[1] == T0 + 1
        with pytest.raises(TransformError) as caught:
            known.look_up("odom", "camera", T0 - 1)
        assert not isinstance(caught.value, NotYet), "it will never come"
        for question in (
            ("odom", "camera", T0 + 2),
            ("nowhere", "camera", T0),
            ("/odom", "camera", T0),
            ("odom", "", T0),
        ):
            with pytest.raises(NotYet):
                known.look_up(*question)
        known.close()


def test_level_height_and_cloud_come_through_tf2(model):
    pitch = Rotation.from_euler("y", 10, True)
    given = {"level": "tf", "camera_height": "base_footprint", "cloud.frame": "odom"}
    with robot(model, **given) as bot:
        bot.activate()
        see_room(bot)
        bot.listen("depth", "points")
        broadcast = tf2_ros.StaticTransformBroadcaster(bot.world)
        broadcast.sendTransform(
            [
                stamped("odom", "base_footprint", pitch, HERE),
                stamped("base_footprint", CAMERA, OPTICAL, (0.0, 0.0, 0.9)),
            ]
        )
        bot.process(image())  # from here on the node listens to TF
        heard(bot.node._listening.mounting.transforms, "odom", CAMERA, None)
        bot.process(image())
        cloud = bot.outputs("points", 2)[-1]
        assert cloud.header.frame_id == "odom"
        wait_until(lambda: bot.values("geometry")["attitude"] == "measured", what="an attitude")
        assert bot.values("geometry")["camera_height_m"] == "0.900"
        down = bot.node._statistics.geometry.attitude.down
        np.testing.assert_allclose(down, (pitch * OPTICAL).inv().apply([0, 0, -1]), atol=1e-6)


def test_tf2_knows_the_frames_that_the_node_publishes(model):
    with robot(model, **{"cloud.frame": "body"}) as bot:
        bot.activate()
        see_room(bot)
        bot.listen("points")
        buffer = tf2_ros.Buffer()
        listener = tf2_ros.TransformListener(buffer, bot.world)
        bot.process(image())
        body = bot.outputs("points", 1)[0].header.frame_id
        assert body == f"{CAMERA}_body"
        now = tf.ClockTime()
        wait_until(lambda: buffer.can_transform(CAMERA, body, now), what="the node's frame")
        turn = buffer.lookup_transform(CAMERA, body, now).transform.rotation
        found = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w])
        np.testing.assert_allclose(found.apply([1, 0, 0]), [0, 0, 1], atol=1e-9)
        np.testing.assert_allclose(found.apply([0, 0, 1]), [0, -1, 0], atol=1e-9)
        listener.unregister()


def test_bondpy_forms_a_bond_with_the_node_and_hears_its_end(model):
    bondpy = pytest.importorskip("bondpy.bondpy", reason="ROS's bondpy is not installed")
    with robot(model) as bot:
        formed = []
        theirs = bondpy.Bond(
            bot.world, "bond", bot.node.get_name(), on_formed=lambda: formed.append(True)
        )
        theirs.start()
        bot.activate()
        wait_until(lambda: formed, what="a bond")
        assert not theirs.is_broken()
        wait_until(lambda: bot.node.trigger_deactivate().name == "SUCCESS")
        wait_until(theirs.is_broken, what="the node's end of the bond")


def test_sensor_msgs_py_reads_the_cloud(model):
    point_cloud2 = pytest.importorskip(
        "sensor_msgs_py.point_cloud2", reason="ROS's sensor_msgs_py is not installed"
    )
    with robot(model) as bot:
        bot.activate()
        see_room(bot)
        bot.listen("points", "depth")
        bot.process(image())
        cloud, depth = bot.outputs("points", 1)[0], bot.outputs("depth", 1)[0]
        assert (cloud.height, cloud.width) == (depth.height, depth.width)
        # Its own reshaping takes width for height.
        points = point_cloud2.read_points(cloud).reshape(cloud.height, cloud.width)
        metres = np.frombuffer(depth.data, np.float32).reshape(points.shape)
        length = np.sqrt(points["x"] ** 2 + points["y"] ** 2 + points["z"] ** 2)
        seen = np.isfinite(length)
        assert seen.mean() > 0.9
        np.testing.assert_allclose(length[seen], metres[seen], rtol=1e-5)


def test_label_info_names_the_classes(model):
    vision_msgs = pytest.importorskip("vision_msgs.msg", reason="vision_msgs is not installed")
    with robot(model) as bot:
        bot.activate()
        said = []
        bot.world.create_subscription(vision_msgs.LabelInfo, "label_info", said.append, LOG_QOS)
        wait_until(lambda: said, what="label_info")
        names = {one.class_id: one.class_name for one in said[0].class_map}
        assert names == dict(enumerate(one["name"] for one in default_classes()))
