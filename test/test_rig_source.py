"""A rig's source without DDS: calibration from CameraInfo and TF, frames, and packets of video."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from builtin_interfaces.msg import Time
from fisheye_views import back_to_back, bundled
from node_harness import wait_until
from rig_robot import SMALL, picture, seen_by
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo
from test_video import encode, scene

from mtpano_model.errors import MtpanoError
from mtpano_model.geometry import sphere
from mtpano_model.rig.reading import rotation_of
from mtpano_model.rig.rig import Lens, Rig
from mtpano_model.robot.transforms import TransformBuffer, make_transform
from mtpano_model.video.messages import video_packet
from mtpano_ros.camera import lens_calibration
from mtpano_ros.camera.lens_calibration import info_topic
from mtpano_ros.camera.message_types import picture_type
from mtpano_ros.camera.rig_source import RigSource
from mtpano_ros.camera.source import Endpoint, ImageSource, Surroundings

NETWORK = (64, 128)


class Stage:
    """A source that is begun, and what it says and delivers."""

    def __init__(self, source):
        self.source, self.shots, self.told, self.listening = source, [], [], {}
        self.tf = TransformBuffer()
        node = SimpleNamespace(
            create_subscription=self._subscribe,
            destroy_subscription=lambda name: self.listening.pop(name),
            resolve_topic_name=lambda name, **_: f"/{name}",
        )
        tell = lambda subject, sentence: self.told.append(sentence)  # noqa: E731
        source.begin(Surroundings(node, NETWORK, self.shots.append, tell, self.tf.look_up))

    def _subscribe(self, kind, name, callback, qos, **_):
        self.listening[name] = callback
        return name

    def take(self, topic, message):
        self.source.take(Endpoint(topic), message)

    def panorama(self):
        """What the last shot becomes: (picture for the network, where anything is seen)."""
        out = np.zeros((*NETWORK, 3), np.uint8)
        seen = self.shots[-1].open(False, lambda size: size).fill(out)
        return out, seen


@pytest.fixture
def begin():
    stages = []

    def begin(source):
        stages.append(Stage(source))
        return stages[-1]

    yield begin
    for stage in stages:
        stage.source.end()


def info(frame):
    """The CameraInfo of SMALL."""
    assert SMALL.model == "equidistant"
    message = CameraInfo(height=SMALL.size[0], width=SMALL.size[1], distortion_model="equidistant")
    (fx, fy), (cx, cy) = SMALL.focal, SMALL.center
    message.k = [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0]
    message.d = list(SMALL.distortion)
    message.header.frame_id = frame
    return message


def waiting_rig(**settings):
    """Two lenses that wait for CameraInfo and TF."""
    names = ("front", "back")
    lenses = (
        Lens(n, None, np.eye(3), np.zeros(3), f"/{n}/image_raw", field_of_view=200.0) for n in names
    )
    return Rig(tuple(lenses), wait=0.05, **settings)


def mount(stage, name, yaw, place):
    """TF: the lens looks `yaw` degrees to the left of the body's x axis."""
    optical = Rotation.from_quat([-0.5, 0.5, -0.5, 0.5])
    turn = Rotation.from_euler("z", yaw, True) * optical
    stage.tf.add("body", name, make_transform(turn.as_quat(), np.array(place)), 0.0, True)


def test_camera_info_and_tf_make_the_rig_and_its_frame_lies_in_the_first_lens_s(begin):
    stage = begin(RigSource(waiting_rig(body_frame="body")))
    assert set(stage.listening) == {"/front/camera_info", "/back/camera_info"}
    told = "lens 'front' waits for its calibration on /front/camera_info"
    wait_until(lambda: told in stage.source.state.status()[1])
    mount(stage, "f", 0, (0.2, 0.0, 1.0))
    mount(stage, "b", 180, (-0.2, 0.0, 1.0))
    stage.listening["/front/camera_info"](info("f"))
    stage.listening["/back/camera_info"](info("b"))
    wait_until(lambda: not stage.listening, what="it listens to camera_info no more")
    wait_until(lambda: stage.source._composing)
    assert stage.source.state.status()[1] == "rig"
    panorama = bundled("workshop")
    pictures = seen_by(back_to_back(SMALL), panorama)
    stamp = time.time_ns()
    for name, frame in (("front", "f"), ("back", "b")):
        message = picture(name, pictures[name], stamp)
        message.header.frame_id = frame
        stage.take(f"/{name}/image_raw", message)
    shot = stage.shots[-1]
    assert shot.header.frame_id == "f_panorama"
    assert shot.mount.parent == "f"
    np.testing.assert_allclose(shot.mount.turn, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(shot.mount.offset, [0, 0, -0.2], atol=1e-9)  # behind the front lens
    made, seen = stage.panorama()
    assert seen.all()
    plain = begin(RigSource(back_to_back(SMALL)))
    for name in pictures:
        plain.take(name, picture(name, pictures[name], stamp))
    assert np.abs(made.astype(int) - plain.panorama()[0]).mean() < 1


@pytest.mark.parametrize("missing", ["camera_info", "tf"])
def test_a_lens_of_which_nothing_is_known_is_said_and_the_others_go_on(begin, monkeypatch, missing):
    monkeypatch.setattr(lens_calibration, "PATIENCE_SECONDS", 0.3)
    stage = begin(RigSource(waiting_rig(body_frame="body")))
    mount(stage, "f", 0, (0.0, 0.0, 1.0))
    stage.listening["/front/camera_info"](info("f"))
    if missing == "tf":
        stage.listening["/back/camera_info"](info("b"))
    wait_until(lambda: stage.source._composing)
    words = {
        "camera_info": "lens 'back' waits for its calibration on /back/camera_info",
        "tf": "lens 'back': TF has no transform from body to 'b'",
    }
    assert words[missing] in wait_until(lambda: stage.told)[0]
    assert words[missing] in stage.source.state.status()[1]
    pixels = seen_by(back_to_back(SMALL), bundled("lab"))["front"]
    stage.take("/front/image_raw", picture("f", pixels, time.time_ns()))
    wait_until(lambda: stage.shots)
    _, seen = stage.panorama()
    assert 0.4 < seen.mean() < 0.7
    # What comes late is taken in.
    mount(stage, "b", 180, (0.0, 0.0, 1.0))
    if missing == "camera_info":
        stage.listening["/back/camera_info"](info("b"))
    wait_until(lambda: len(stage.source._composing.rig.lenses) == 2)
    wait_until(lambda: stage.source.state.status()[1] == "rig")


def test_a_camera_info_that_is_not_calibrated_is_said(begin):
    stage = begin(RigSource(waiting_rig()))
    empty = info("f")
    empty.k = [0.0] * 9
    stage.listening["/front/camera_info"](empty)
    wait_until(lambda: "is not calibrated" in stage.source.state.status()[1])


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("/camera/front/image_raw", "/camera/front/camera_info"),
        ("/camera/front/image_raw/compressed", "/camera/front/camera_info"),
        ("/camera/front/image/ffmpeg", "/camera/front/camera_info"),
        ("/image", "/camera_info"),
        ("image", "camera_info"),
        ("front/image", "front/camera_info"),
    ],
)
def test_camera_info_stands_beside_the_image(topic, expected):
    assert info_topic(topic) == expected


def test_a_turned_panorama_hangs_on_the_first_lens(begin):
    turn = rotation_of([90, 0, 0])
    stage = begin(RigSource(back_to_back(SMALL, 0.2).turned(turn)))
    pictures = seen_by(back_to_back(SMALL), bundled("lab"))
    stamp = time.time_ns()
    for name in pictures:
        stage.take(name, picture(name, pictures[name], stamp))
    mount = stage.shots[-1].mount
    assert mount.parent == "front_optical"
    # What lies ahead of the first lens lies to the panorama's right.
    np.testing.assert_allclose(mount.turn @ [1, 0, 0], [0, 0, 1], atol=1e-9)
    np.testing.assert_allclose(mount.offset, [0, 0, -0.1], atol=1e-9)


def test_lenses_of_one_picture_keep_its_frame(begin):
    pair = back_to_back(SMALL)
    tiles = [(0.0, 0.0, 1.0, 0.5), (0.0, 0.5, 1.0, 0.5)]
    lenses = [
        Lens(one.name, one.camera, one.rotation, one.position, "both", tile)
        for one, tile in zip(pair.lenses, tiles, strict=True)
    ]
    stage = begin(RigSource(Rig(tuple(lenses))))
    both = np.hstack(list(seen_by(pair, bundled("lab")).values()))
    stage.take("both", picture("camera", both, time.time_ns()))
    assert (stage.shots[-1].header.frame_id, stage.shots[-1].mount) == ("camera_optical", None)
    assert stage.panorama()[1].all()


def test_the_first_lens_may_be_missing_at_first(begin):
    stage = begin(RigSource(back_to_back(SMALL, 0.2, wait=0.02)))
    pixels = seen_by(back_to_back(SMALL), bundled("lab"))
    stage.take("back", picture("back", pixels["back"], time.time_ns()))
    wait_until(lambda: stage.shots)
    mount = stage.shots[-1].mount
    assert mount.parent == "back_optical"
    np.testing.assert_allclose(mount.turn @ [0, 0, 1], [0, 0, -1], atol=1e-9)
    stamp = time.time_ns()
    for name in pixels:
        stage.take(name, picture(name, pixels[name], stamp))
    assert stage.shots[-1].mount.parent == "back_optical"  # a frame does not change its name


def test_stamps_of_zero_are_of_now(begin):
    stage = begin(RigSource(back_to_back(SMALL)))
    pixels = seen_by(back_to_back(SMALL), bundled("lab"))
    for count in (1, 2):
        for name in pixels:
            message = picture(name, pixels[name], 1)
            message.header.stamp = Time()
            stage.take(name, message)
        assert len(stage.shots) == count
        assert stage.shots[-1].header.stamp == Time()


# --- messages of video that no wheel has ----------------------------------------------------------


def ffmpeg_packet(data, stamp):
    header = picture("camera", np.zeros((2, 4, 3), np.uint8), stamp).header
    return SimpleNamespace(header=header, encoding="libx264", pts=3, flags=1, data=data)


def compressed_video(data, stamp):
    moment = Time(sec=stamp // 10**9, nanosec=stamp % 10**9)
    return SimpleNamespace(timestamp=moment, frame_id="camera_optical", format="h264", data=data)


@pytest.mark.parametrize("make", [ffmpeg_packet, compressed_video])
def test_other_messages_of_video_are_decoded(begin, make):
    stage = begin(ImageSource("video"))
    stamp = time.time_ns()
    stage.take("image", make(encode("h264", 1)[0], stamp))
    (shot,) = stage.shots
    assert shot.header.stamp.sec * 10**9 + shot.header.stamp.nanosec == stamp
    assert shot.header.frame_id == "camera_optical"
    shown = shot.open(False, lambda size: size).colors((96, 192))
    assert np.abs(shown.astype(int) - scene(0)).mean() < 6
    assert stage.source.state.counts()["packets_shown"] == 1


@pytest.mark.parametrize(
    ("form", "name"),
    [("h264", "h264"), ("H.264", "h264"), ("hevc; yuv420p", "hevc"), ("rgb8; jpeg", None)],
)
def test_what_is_video_is_told_by_the_format(form, name):
    message = picture("x", np.zeros((2, 4, 3), np.uint8), 5)
    packet = video_packet(SimpleNamespace(header=message.header, format=form, data=b"1"))
    assert packet == (None if name is None else (name, b"1", 5))


def test_a_package_of_messages_that_is_missing_is_said():
    with pytest.raises(MtpanoError, match="is not installed: apt install ros-"):
        picture_type("/a", ["foxglove_msgs/msg/CompressedVideo"])
    with pytest.raises(MtpanoError, match="std_msgs/msg/String, expected Image"):
        picture_type("/a", ["std_msgs/msg/String"])
    assert picture_type("/a", []) is None
    assert picture_type("/a", ["a/msg/B", "sensor_msgs/msg/Image"]).__name__ == "Image"


def test_rows_of_the_sphere_are_those_of_the_network(begin):
    """The first row is up, whatever the lenses are."""
    stage = begin(RigSource(back_to_back(SMALL)))
    rays = sphere.rays(256, 512)
    pixels = seen_by(back_to_back(SMALL), ((rays + 1) * 127.5).astype(np.uint8))
    stamp = time.time_ns()
    for name in pixels:
        stage.take(name, picture(name, pixels[name], stamp))
    made, _ = stage.panorama()
    assert np.abs(made / 127.5 - 1 - sphere.rays(*NETWORK)).mean() < 0.03
