"""What comes out of an active node, over real DDS."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from fake_model import default_classes, write_fake_model
from node_harness import TYPES, compressed, gradient, image, parameters, robot, wait_until
from rclpy.qos import QoSProfile, ReliabilityPolicy

from mtpano_model.clouds.cloud import cloud_from_frame
from mtpano_model.drawing.colors import colorize_depth, colorize_labels
from mtpano_model.inference import load_estimator
from mtpano_model.pictures.normals import encode_normals
from mtpano_ros.outputs.point_cloud import CloudPacker
from mtpano_ros.tools.reading import cloud_array, image_array

ENCODINGS = {
    "depth": "32FC1",
    "normals": "32FC3",
    "semantic": "mono8",
    "depth/color": "rgb8",
    "normals/color": "rgb8",
    "semantic/color": "rgb8",
}

BODY_TOPICS = ("scan", "range_grid")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx")


@pytest.fixture
def active(model):
    """A configured, active node on its defaults."""
    with robot(model) as bot:
        bot.activate()
        yield bot


def only(bot, name, message=None):
    """The one output of one image."""
    bot.listen(name)
    bot.send(message or image())
    return bot.outputs(name, 1)[0]


def test_every_output_is_what_predict_gives(active, model):
    active.node.set_parameters(parameters(edge_filter=0.0))
    active.listen()
    message = image(stamp=1_700_000_000_123_456_789)
    active.send(message)
    got = {name: active.outputs(name, 1)[0] for name in TYPES}
    with load_estimator(model, compiled=None) as estimator:
        frame, info = estimator.predict(gradient()), estimator.info
    expected = {
        "depth": frame.depth,
        "normals": frame.normals,
        "semantic": frame.labels,
        "depth/color": colorize_depth(frame.depth),
        "normals/color": encode_normals(frame.normals),
        "semantic/color": colorize_labels(frame.labels, info.classes.palette),
    }
    for name, array in expected.items():
        assert got[name].encoding == ENCODINGS[name]
        assert np.array_equal(image_array(got[name]), array, equal_nan=True), name
    cloud, plain = cloud_array(got["points"]), cloud_from_frame(frame, gradient())
    assert cloud.shape == plain.grid
    assert np.allclose(cloud["x"].ravel(), plain.points[:, 0], atol=1e-6, equal_nan=True)
    assert np.array_equal(cloud["label"].ravel(), plain.labels)
    assert (got["camera_info"].height, got["camera_info"].width) == frame.size
    for name, one in got.items():
        assert one.header.stamp == message.header.stamp, name
        own = "_body" if name in BODY_TOPICS else ""
        assert one.header.frame_id == message.header.frame_id + own, name


def test_unsubscribed_outputs_are_not_made_and_nobody_means_no_inference(active, monkeypatch):
    active.node.set_parameters(parameters(keep_subscribed=True))
    calls = []
    infer = active.node._estimator.infer
    monkeypatch.setattr(
        active.node._estimator, "infer", lambda batch: calls.append(1) or infer(batch)
    )
    for _ in range(3):
        active.process(image())
    assert active.count("idle") == 3
    assert calls == []
    packs = []
    monkeypatch.setattr(CloudPacker, "pack", lambda *_: packs.append(1))
    only(active, "semantic")
    assert calls == [1]
    assert packs == []
    subscription = active.listen("depth")
    active.process(image())
    active.world.destroy_subscription(subscription)
    assert active.count("processed") == 2


@pytest.mark.parametrize(
    ("setting", "camera", "expected"),
    [
        ("input", (64, 128), (64, 128)),
        ("input", (600, 1200), (512, 1024)),
        ("network", (100, 200), (64, 128)),
        ("32x64", (100, 200), (32, 64)),
    ],
)
def test_one_output_size_for_everything(model, setting, camera, expected):
    with robot(model, outputs__size=setting) as bot:
        bot.activate()
        bot.listen("depth", "points", "normals/color", "camera_info")
        bot.send(image(gradient(camera[0])))
        for name in ("depth", "points", "normals/color", "camera_info"):
            one = bot.outputs(name, 1)[0]
            assert (one.height, one.width) == expected, name


def test_frame_id_and_axes_can_be_chosen(active):
    active.node.set_parameters(parameters(edge_filter=0.0))
    active.listen("normals", "points")
    active.process(image())
    active.node.set_parameters(
        parameters(outputs__frame_id="base_link", outputs__frame_convention="body")
    )
    active.process(image())
    before, after = (image_array(one) for one in active.outputs("normals", 2))
    assert np.allclose(after, np.stack([before[..., 2], -before[..., 0], -before[..., 1]], -1))
    old, new = (cloud_array(one) for one in active.outputs("points", 2))
    assert np.allclose(new["x"], old["z"])
    assert np.allclose(new["z"], -old["y"])
    frames = [one.header.frame_id for one in active.outputs("points", 2)]
    assert frames == ["camera_optical_frame", "base_link"]


def test_depth_in_millimetres(active):
    active.node.set_parameters(parameters(outputs__depth_encoding="16UC1"))
    active.listen("depth")
    active.process(image())
    active.node.set_parameters(parameters(outputs__depth_encoding="32FC1"))
    active.process(image())
    short, metres = active.outputs("depth", 2)
    assert (short.encoding, short.step) == ("16UC1", 2 * 128)
    assert np.abs(image_array(short) / 1000 - image_array(metres)).max() < 0.00051


def test_ranges_and_masks_become_special_values(active, tmp_path):
    body = np.zeros((64, 128), np.uint8)
    body[30:40, 50:60] = 255
    cv2.imwrite(str(tmp_path / "body.png"), body)
    active.listen("depth", "normals")
    active.process(image())
    active.node.set_parameters(
        parameters(
            min_range=1.5,
            max_range=3.0,
            mask__body=str(tmp_path / "body.png"),
            mask__zenith_degrees=10.0,
            mask__nadir_degrees=20.0,
        )
    )
    active.process(image())
    plain, ruled = (image_array(one) for one in active.outputs("depth", 2))
    latitude = 90 - (np.arange(64) + 0.5) * 180 / 64
    hidden = body > 0
    hidden[(latitude > 80) | (latitude < -70)] = True
    expected = np.where(plain > 3.0, np.inf, np.where(plain < 1.5, -np.inf, plain))
    assert np.isposinf(expected).any()
    assert np.isneginf(expected).any()
    expected[hidden] = np.nan
    assert np.array_equal(ruled, expected, equal_nan=True)
    assert np.isnan(image_array(active.outputs("normals", 2)[1])[hidden]).all()


def test_depth_is_left_as_it_is_from_the_image_on_that_follows(active):
    """The model's normals are a sphere's, and the picture has two halves at nearly one depth."""
    picture = np.full((64, 128, 3), (100, 0, 0), np.uint8)
    picture[:, 32:96, 0] = 95
    active.listen("depth")
    active.process(image(picture))
    active.node.set_parameters(parameters(depth_finish="off"))
    active.process(image(picture))
    bent, plain = (np.ptp(image_array(one)[:, 26:38]) for one in active.outputs("depth", 2))
    assert plain == pytest.approx(5 / 64, rel=0.1)
    assert bent < 0.6 * plain


def test_stride_and_voxels_shrink_the_cloud(active):
    active.listen("points")
    active.node.set_parameters(parameters(cloud__stride=2))
    active.process(image())
    active.node.set_parameters(parameters(cloud__stride=1, cloud__voxel_size=0.5))
    active.process(image())
    strided, voxels = active.outputs("points", 2)
    assert (strided.height, strided.width, strided.is_dense) == (32, 64, False)
    assert (voxels.height, voxels.is_dense) == (1, True)
    cloud = cloud_array(voxels)[0]
    cells = np.floor(np.stack([cloud[axis] for axis in "xyz"], -1) / 0.5)
    assert 10 < len(cloud) == len(np.unique(cells, axis=0)) < 64 * 128


def test_many_classes_make_sixteen_bit_labels(tmp_path):
    classes = [dict(default_classes()[0], name=f"class {n}") for n in range(300)]
    model = write_fake_model(tmp_path / "many.onnx", classes=classes)
    with robot(model) as bot:
        bot.activate()
        labels = only(bot, "semantic")
    assert (labels.encoding, labels.step) == ("mono16", 256)


def test_compressed_images_go_the_same_way(model):
    with robot(model, image_transport="compressed") as bot:
        bot.activate()
        bot.listen("depth", "points")
        lossless = cv2.imencode(".png", gradient()[..., ::-1])[1].tobytes()
        message = compressed(lossless, form="rgb8; png compressed")
        bot.send(message)
        with load_estimator(model, compiled=None) as estimator:
            frame = estimator.predict(gradient())
        depth = bot.outputs("depth", 1)[0]
        assert depth.header == message.header
        assert np.array_equal(image_array(depth), frame.depth)


def test_colours_of_a_bgr_camera_are_not_swapped(active):
    active.listen("depth", "points")
    active.process(image())
    active.process(image(np.ascontiguousarray(gradient()[..., ::-1]), encoding="bgr8"))
    for name in ("depth", "points"):
        rgb, bgr = active.outputs(name, 2)
        assert rgb.data == bgr.data, name


def test_qos_is_as_promised_and_overridable(model):
    overrides = {
        "qos_overrides./mtpano/depth.publisher.reliability": "best_effort",
        "qos_overrides./mtpano/points.publisher.depth": 1,
    }
    with robot(model, **overrides) as bot:
        bot.activate()
        qos = {p.topic_name: p.qos_profile for p in bot.node._output_publishers.publishers}
        assert qos["/mtpano/depth"].reliability == ReliabilityPolicy.BEST_EFFORT
        assert qos["/mtpano/normals"].reliability == ReliabilityPolicy.RELIABLE
        assert 1 <= qos["/mtpano/normals"].depth <= 5
        assert qos["/mtpano/points"].depth == 1
        bot.listen("depth", qos=QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
        bot.send(image())
        bot.outputs("depth", 1)
        camera = bot.subscription.qos_profile
        assert camera.reliability == ReliabilityPolicy.BEST_EFFORT
        assert 1 <= camera.depth <= 5


def test_a_subscriber_that_vanishes_and_one_that_comes_are_noticed(active):
    active.node.set_parameters(parameters(keep_subscribed=True))
    first = active.listen("depth")
    active.process(image())
    active.world.destroy_subscription(first)
    wait_until(lambda: not active.node._output_publishers.wanted())
    active.process(image())
    active.listen("semantic")
    active.process(image())
    assert (active.count("processed"), active.count("idle")) == (2, 1)
