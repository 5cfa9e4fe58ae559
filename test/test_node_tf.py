"""TF and bond, whose packages are not among the wheels: their messages are stood in for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from geometry_msgs.msg import TransformStamped, Vector3
from node_harness import robot, wait_until
from robot_room import rotation_about
from room_node import write_room_model
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Imu
from std_msgs.msg import Header

from mtpano_model.geometry.sphere import OPTICAL_FROM
from mtpano_model.robot.transforms import NotYet, TransformError
from mtpano_ros.mounting import attitude_source
from mtpano_ros.mounting import tf as mounting_tf
from mtpano_ros.mounting.mounting import Mounting
from mtpano_ros.mounting.ros_time import time_of
from mtpano_ros.mounting.state import GeometryState
from mtpano_ros.mounting.transforms import Transforms
from mtpano_ros.parameters.options import with_values
from mtpano_ros.parameters.table import Parameters
from mtpano_ros.process import bond


class StandInNode:
    """Keeps what is published, and the callbacks of what is subscribed to, by topic."""

    def __init__(self):
        self.sent, self.callbacks, self.logged, self.timers = {}, {}, [], []

    def create_publisher(self, kind, name, qos, **_):
        return SimpleNamespace(publish=self.sent.setdefault(name, []).append, name=name)

    def create_subscription(self, kind, name, callback, qos, **_):
        self.callbacks[name] = callback
        return name

    def create_timer(self, period, callback, *_, **__):
        self.timers.append(callback)
        return callback

    def destroy_publisher(self, publisher):
        pass

    def destroy_subscription(self, name):
        del self.callbacks[name]

    def destroy_timer(self, timer):
        self.timers.remove(timer)

    def get_logger(self):
        return SimpleNamespace(
            info=self.logged.append, warning=lambda line, **_: self.logged.append(line)
        )

    def get_name(self):
        return "pano_node"

    def get_clock(self):
        return SimpleNamespace(now=lambda: SimpleNamespace(to_msg=lambda: time_of(1.0)))


@pytest.fixture
def tf(monkeypatch):
    """A node where tf2_msgs is installed and tf2_ros is not."""
    monkeypatch.setattr(mounting_tf, "tf2_ros", None)
    monkeypatch.setattr(mounting_tf, "TFMessage", SimpleNamespace)
    return StandInNode()


def stamped(parent, child, rotation, translation, stamp):
    one = TransformStamped(child_frame_id=child)
    one.header.stamp, one.header.frame_id = time_of(stamp), parent
    turn, move = one.transform.rotation, one.transform.translation
    turn.x, turn.y, turn.z, turn.w = rotation.as_quat().tolist()
    move.x, move.y, move.z = translation
    return one


def say(node, *messages, static=False):
    node.callbacks["/tf_static" if static else "/tf"](SimpleNamespace(transforms=list(messages)))


def test_a_moving_camera_is_interpolated_as_scipy_does(tf):
    known = Transforms(tf)
    with pytest.raises(NotYet):
        known.look_up("odom", "camera", 1.0)
    first, last = Rotation.from_euler("xyz", (5, 10, 20), True), Rotation.from_euler("z", 80, True)
    say(tf, stamped("odom", "base", first, (0.0, 0.0, 0.0), 1.0))
    say(tf, stamped("odom", "base", last, (2.0, 0.0, 0.0), 2.0))
    say(tf, stamped("base", "camera", Rotation.identity(), (0.0, 0.0, 1.2), 0.0), static=True)
    found, moment = known.look_up("odom", "camera", 1.25)
    expected = first * Rotation.from_rotvec(0.25 * (first.inv() * last).as_rotvec())
    np.testing.assert_allclose(found.matrix, expected.as_matrix(), atol=1e-9)
    np.testing.assert_allclose(
        found.translation, np.add((0.5, 0, 0), expected.apply((0, 0, 1.2))), atol=1e-9
    )
    assert moment == 1.25
    assert known.look_up("odom", "camera", None)[1] == 2.0
    with pytest.raises(NotYet):
        known.look_up("odom", "camera", 2.5)
    with pytest.raises(TransformError):
        known.look_up("odom", "camera", 0.5)
    known.close()
    assert tf.callbacks == {}


def test_a_loop_and_a_rotation_that_is_none_are_said_and_left_out(tf):
    known = Transforms(tf)
    with pytest.raises(NotYet):
        known.look_up("a", "b", 1.0)
    say(tf, stamped("a", "b", Rotation.identity(), (0.0, 0.0, 0.0), 1.0))
    say(tf, stamped("b", "a", Rotation.identity(), (0.0, 0.0, 0.0), 1.0))
    assert "closes a loop" in tf.logged[-1]
    wrong = stamped("a", "c", Rotation.identity(), (0.0, 0.0, 0.0), 1.0)
    wrong.transform.rotation.w = 0.0
    say(tf, wrong)
    assert "quaternion of length 1" in tf.logged[-1]
    assert known.look_up("a", "b", 1.0)[1] == 1.0


def test_own_static_frames_are_sent_all_together_and_once(tf):
    known = Transforms(tf)
    turn = rotation_about((0, 0, 1), 30)
    for _ in range(2):
        known.publish("camera", "camera_body", turn, time_of(1.0))
        known.publish("camera", "camera_front", np.eye(3), time_of(1.0))
        known.publish("camera", "camera_level", turn, time_of(1.0), static=False)
    sent = [[one.child_frame_id for one in message.transforms] for message in tf.sent["/tf_static"]]
    assert sent == [["camera_body"], ["camera_body", "camera_front"]]
    assert len(tf.sent["/tf"]) == 2
    told = tf.sent["/tf"][0].transforms[0].transform.rotation
    np.testing.assert_allclose(
        Rotation.from_quat([told.x, told.y, told.z, told.w]).as_matrix(), turn, atol=1e-9
    )


def test_without_tf_s_messages_each_frame_is_told_once_and_a_look_up_says_what_to_install(
    tf, monkeypatch
):
    monkeypatch.setattr(mounting_tf, "TFMessage", None)
    known = Transforms(tf)
    for _ in range(2):
        known.publish("camera", "camera_body", np.eye(3), time_of(1.0))
        known.publish("camera", "camera_level", np.eye(3), time_of(1.0), static=False)
    assert len(tf.logged) == 2
    assert "tf2_msgs is not installed" in tf.logged[0]
    with pytest.raises(TransformError, match="apt install"):
        known.look_up("odom", "camera", 1.0)


def test_tf2_itself_is_used_where_it_is_installed(tf, monkeypatch):
    class Missing(Exception):
        pass

    class Extrapolation(Missing):
        pass

    class Buffer:
        def lookup_transform(self, target, source, moment):
            if target == "nowhere":
                raise Missing("frame nowhere does not exist")
            if moment.nanoseconds > 2e9:
                raise Extrapolation("Lookup would require extrapolation into the future")
            if 0 < moment.nanoseconds < 1e9:
                raise Extrapolation("Lookup would require extrapolation into the past")
            return stamped(target, source, Rotation.identity(), (0.0, 0.0, 1.5), 2.0)

    ended = []
    monkeypatch.setattr(
        mounting_tf,
        "tf2_ros",
        SimpleNamespace(
            Buffer=Buffer,
            TransformListener=lambda buffer, node: SimpleNamespace(
                unregister=lambda: ended.append(1)
            ),
            TransformException=Missing,
            ExtrapolationException=Extrapolation,
        ),
    )
    known = Transforms(tf)
    assert known.look_up("base", "camera", 1.5)[0].translation[2] == 1.5
    for target, stamp in (("nowhere", 1.5), ("base", 3.0)):
        with pytest.raises(NotYet):
            known.look_up(target, "camera", stamp)
    with pytest.raises(TransformError, match="past") as caught:
        known.look_up("base", "camera", 0.5)
    assert not isinstance(caught.value, NotYet)
    with pytest.raises(TransformError, match=r"stamp -5\.000 s"):  # rclpy has none below 0
        known.look_up("base", "camera", -5.0)
    known.close()
    assert ended == [1]


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0.6, -0.8, 0), (-0.5, 0.5, 0.7)])
@pytest.mark.parametrize("level", ["tf", "imu"])
def test_an_attitude_by_tf_is_the_same_whichever_axes_the_camera_s_frame_has(
    tf, monkeypatch, level, axis
):
    # Messages are handed over here.
    idle = SimpleNamespace(stop=lambda: None)
    monkeypatch.setattr(attitude_source, "CameraThread", lambda *_: idle)
    turn = Rotation.from_rotvec(np.radians(25) * np.divide(axis, np.linalg.norm(axis)))
    optical = Rotation.from_matrix(OPTICAL_FROM["body"].T)
    found = []
    for convention, axes in (("optical", optical), ("body", Rotation.identity())):
        parameters = with_values(Parameters(), {"level": level})
        mounting = Mounting(tf, parameters, SimpleNamespace(indoor18=()), GeometryState())
        mounting.attitude(1.0, "camera", convention)
        with pytest.raises(NotYet):
            mounting.transforms.look_up("odom", "camera", 1.0)
        name = parameters.attitude.frame if level == "tf" else "imu_link"
        say(tf, stamped(name, "camera", turn * axes, (0.0, 0.0, 0.9), 1.0))
        if level == "imu":
            felt = Vector3(**dict(zip("xyz", (0.0, 0.0, 9.81), strict=True)))
            message = Imu(header=Header(frame_id="imu_link"), linear_acceleration=felt)
            message.header.stamp = time_of(1.0)
            mounting.attitude_source._take(message)
        attitude = mounting.attitude(1.0, "camera", convention)
        assert attitude.state == "measured"
        found.append(attitude.down)
        mounting.close()
    np.testing.assert_allclose(found[0], (turn * optical).inv().apply([0, 0, -1]), atol=1e-9)
    np.testing.assert_allclose(found[1], found[0], atol=1e-9)


def test_tf_tells_height_and_attitude_and_keeps_them_for_a_while(tf):
    parameters = with_values(Parameters(), {"level": "tf", "camera_height": "base_footprint"})
    mounting = Mounting(tf, parameters, SimpleNamespace(indoor18=()), GeometryState())
    assert mounting.attitude(1.0, "camera").state == "level"
    pitch = Rotation.from_euler("y", 10, True)
    body = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # optical to body
    say(tf, stamped("odom", "base_footprint", pitch, (1.0, 2.0, 0.0), 1.0))
    say(tf, stamped("base_footprint", "camera", body, (0.0, 0.0, 0.9), 0.0), static=True)
    attitude = mounting.attitude(1.0, "camera")
    assert attitude.state == "measured"
    expected = (pitch * body).inv().apply([0, 0, -1])
    np.testing.assert_allclose(attitude.down, expected, atol=1e-9)
    assert mounting.camera_height(parameters, 1.0, "camera").metres == pytest.approx(0.9)
    # The next image comes before its transform: the newest holds.
    assert mounting.attitude(1.3, "camera").state == "measured"
    assert mounting.camera_height(parameters, 1.3, "camera").metres == pytest.approx(0.9)
    assert mounting.attitude(3.0, "camera").state == "held"
    assert mounting.attitude(100.0, "camera").state == "level"
    # A stamp from before all that is kept.
    lost = mounting.camera_height(parameters, -50.0, "elsewhere")
    assert lost.metres is None
    assert "no camera height" in lost.problem


# --- bond ----------------------------------------------------------------------------------------


class Status(SimpleNamespace):
    def __init__(self, **values):
        super().__init__(header=Header(), **values)


def test_the_node_bonds_as_nav2_s_own_nodes_do(monkeypatch):
    monkeypatch.setattr(bond, "Status", Status)
    node = StandInNode()
    ours = bond.Bond(node)
    for _ in range(2):
        node.timers[0]()
    first, second = node.sent["bond"]
    assert (first.id, first.active, first.heartbeat_timeout) == ("pano_node", True, 4.0)
    assert first.instance_id == second.instance_id != ""
    # Its own words, and those of other bonds, end nothing; the manager's do.
    for message in (first, Status(id="other", instance_id="x", active=False)):
        node.callbacks["bond"](message)
        node.timers[0]()
        assert node.sent["bond"][-1].active
    for _ in range(2):
        node.callbacks["bond"](Status(id="pano_node", instance_id="manager", active=False))
        node.timers[0]()
    assert [one.active for one in node.sent["bond"]][-2:] == [True, False], "acknowledged once"
    ours.close()
    assert not node.sent["bond"][-1].active
    assert (node.timers, node.callbacks) == ([], {})


def test_without_bond_the_node_is_as_ever(tmp_path):
    with robot(write_room_model(tmp_path)) as bot:
        bot.activate()
        assert bot.node._listening.bond is not None
        wait_until(lambda: bot.node.trigger_deactivate().name == "SUCCESS")
        assert bot.node._listening is None
