"""What the node leaves undone: no subscription, no network, no field that nobody wants."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from diagnostic_msgs.msg import DiagnosticStatus
from fake_model import write_fake_model
from node_harness import compressed, gradient, image, parameters, robot, wait_until

from mtpano_model.inference import load_estimator
from mtpano_ros.frames.demand import Demand
from mtpano_ros.outputs.images import DepthImage
from mtpano_ros.outputs.publishers import Publishers
from mtpano_ros.tools.reading import image_array
from mtpano_ros.watch.diagnostics import Statistics


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx")


@pytest.fixture
def active(model):
    with robot(model) as bot:
        bot.activate()
        yield bot


def subscribed(bot):
    """Whether the camera sees a subscriber."""
    return bot.world.count_subscribers("image") > 0


# --- the subscription ----------------------------------------------------------------------------


def test_while_nobody_listens_the_node_has_no_subscription_to_the_camera(active):
    wait_until(lambda: not subscribed(active), 3, "the node unsubscribes")
    for turn in range(1, 3):
        listener = active.listen("depth")
        wait_until(lambda: subscribed(active), 1.5, "it subscribes again")
        active.process(image())
        active.outputs("depth", turn)
        active.world.destroy_subscription(listener)
        wait_until(lambda: not subscribed(active), 3, "and unsubscribes again")
    counts = ("received", "processed", "dropped", "idle", "skipped", "pending")
    assert [active.count(name) for name in counts] == [2, 2, 0, 0, 0, 0]


@pytest.mark.parametrize(
    "looks",  # at which second, whether somebody listens then, whether images are needed
    [
        pytest.param([(0, False, False), (9, False, False)], id="nobody"),
        pytest.param([(0, False, False), (3, True, True)], id="discovered late"),
        pytest.param([(0, True, True), (0.4, False, True), (0.6, False, False)], id="gone"),
        pytest.param(
            [(0, True, True), (0.4, False, True), (0.5, True, True), (0.9, False, True)],
            id="replaced by another",
        ),
        pytest.param([(0, True, True), (2, False, False), (3, True, True)], id="come again"),
    ],
)
def test_images_are_needed_from_the_first_listener_to_half_a_second_after_the_last(looks):
    times = iter([at for at, _, _ in looks])
    demand = Demand(lambda: next(times))
    for at, listened, needed in looks:
        assert demand.look(listened) == needed, f"after {at} s"


def test_a_listener_that_is_discovered_late_finds_the_camera_not_asked_before(model, monkeypatch):
    """A player that waits for the node to subscribe would play to nobody."""
    known = False
    monkeypatch.setattr(Publishers, "wanted", lambda self: known)
    with robot(model) as bot:
        bot.activate()
        for _ in range(10):
            assert bot.subscription is None
            time.sleep(0.05)
        known = True
        wait_until(lambda: bot.subscription is not None, 3, "the node subscribes")
        known = False
        wait_until(lambda: bot.subscription is None, 3, "the node unsubscribes")


def test_a_parameter_keeps_the_subscription(model):
    with robot(model, keep_subscribed=True) as bot:
        bot.activate()
        time.sleep(1.2)
        bot.process(image())
        assert bot.count("idle") == 1
        bot.node.set_parameters(parameters(keep_subscribed=False))
        wait_until(lambda: not subscribed(bot), 3)
        bot.node.set_parameters(parameters(keep_subscribed=True))
        wait_until(lambda: subscribed(bot), 1.5)


def test_silence_on_purpose_is_no_warning_but_silence_of_the_camera_is(model):
    with robot(model, image_timeout=0.3) as bot:
        bot.activate()
        wait_until(lambda: not subscribed(bot), 3)
        before = len(bot.said("no image on"))  # of the first half second
        seen = len(bot.diagnostics)
        wait_until(lambda: len(bot.diagnostics) > seen + 2)
        assert len(bot.said("no image on")) == before
        wait_until(lambda: bot._status("frames").message == "nobody subscribes to an output", 3)
        assert bot.level("frames") == DiagnosticStatus.OK
        bot.listen("depth")
        wait_until(lambda: len(bot.said("no image on")) == before + 1)


def test_a_bag_that_begins_again_while_nobody_listens_loses_no_image(active):
    listener = active.listen("depth")
    now = time.time_ns()
    active.process(image(stamp=now))
    active.world.destroy_subscription(listener)
    wait_until(lambda: not subscribed(active), 3)
    active.listen("depth")
    wait_until(lambda: subscribed(active), 3)
    active.process(image(stamp=now - 10**9))
    assert (active.count("processed"), active.count("skipped")) == (2, 0)


@pytest.mark.parametrize("keep_subscribed", [True, False])
def test_diagnostics_do_not_stay_at_warn_while_nobody_listens(model, keep_subscribed):
    with robot(model, keep_subscribed=keep_subscribed) as bot:
        bot.activate()
        listener = bot.listen("depth")
        bot.process(image(encoding="32FC1"))
        wait_until(lambda: bot.level("frames") == DiagnosticStatus.WARN)
        bot.world.destroy_subscription(listener)
        wait_until(lambda: not bot.node._output_publishers.wanted())
        if keep_subscribed:
            bot.process(image())
        wait_until(lambda: bot.level("frames") == DiagnosticStatus.OK)


def test_an_idle_image_ends_what_failed_before():
    statistics = Statistics()
    statistics.count("skipped_data")
    assert statistics.failing
    statistics.count("received")
    assert statistics.failing
    statistics.count("idle")
    assert not statistics.failing


# --- the network and the fields ------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_camera_info_alone_never_runs_the_network(model, monkeypatch, transport):
    with robot(model, image_transport=transport) as bot:
        bot.activate()

        def forbidden(*_, **__):
            raise AssertionError("nobody needs this")

        for stage in ("preprocess", "infer", "postprocess"):
            monkeypatch.setattr(bot.node._estimator, stage, forbidden)
        bot.listen("camera_info")
        message = image(gradient(96)) if transport == "raw" else compressed()
        bot.process(message)
        info = bot.outputs("camera_info", 1)[0]
        assert (info.height, info.width) == ((96, 192) if transport == "raw" else (64, 128))
        assert info.header == message.header
        assert (bot.count("processed"), bot.count("skipped")) == (1, 0)
        monkeypatch.undo()
        bot.listen("depth")
        bot.process(message)
        bot.outputs("depth", 1)


@pytest.mark.parametrize(
    ("names", "fields"),
    [
        (["depth"], {"depth"}),
        (["depth", "camera_info"], {"depth"}),
        (["normals"], {"normals"}),
        (["semantic/color"], {"labels"}),
        (["depth/color", "semantic"], {"depth", "labels"}),
        (["points"], {"depth", "normals", "labels"}),
    ],
)
def test_only_the_fields_that_somebody_wants_are_computed(active, monkeypatch, names, fields):
    estimator, asked = active.node._estimator, []
    postprocess = estimator.postprocess

    def noted(outputs, size, rules, frame, wanted, adjust):
        asked.append(set(wanted))
        frame.normals[...] = 7.0
        frame.labels[...] = 77
        result = postprocess(outputs, size, rules, frame, wanted, adjust)
        asked.append({"normals": (frame.normals != 7).any(), "labels": (frame.labels != 77).any()})
        return result

    monkeypatch.setattr(estimator, "postprocess", noted)
    active.listen(*names)
    active.process(image())
    wanted, touched = asked
    assert wanted == fields
    assert touched == {name: name in fields for name in ("normals", "labels")}


@pytest.mark.parametrize("field", ["depth", "normals", "semantic"])
def test_a_field_alone_is_the_same_as_among_others(active, model, field):
    active.listen(field)
    active.process(image())
    with load_estimator(model, compiled=None) as estimator:
        frame = estimator.predict(gradient())
    expected = {"depth": frame.depth, "normals": frame.normals, "semantic": frame.labels}[field]
    assert np.array_equal(image_array(active.outputs(field, 1)[0]), expected, equal_nan=True)


# --- one set of parameters an image --------------------------------------------------------------


def test_an_image_keeps_the_parameters_with_which_it_came(active, monkeypatch):
    """A change while the network runs holds from the next image on, for every part of it."""
    infer = active.node._estimator.infer

    def changing(batch):
        changes = parameters(
            outputs__size="32x64", outputs__frame_id="later", outputs__depth_encoding="16UC1"
        )
        assert active.node.set_parameters_atomically(changes).successful
        return infer(batch)

    active.listen("depth", "camera_info", "points")
    monkeypatch.setattr(active.node._estimator, "infer", changing)
    active.process(image())
    active.process(image())

    def described(name, number):
        one = active.outputs(name, number)[number - 1]
        return one.height, one.width, one.header.frame_id

    for name in ("depth", "camera_info", "points"):
        assert described(name, 1) == (64, 128, "camera_optical_frame"), name
        assert described(name, 2) == (32, 64, "later"), name
    assert [one.encoding for one in active.outputs("depth", 2)] == ["32FC1", "16UC1"]


def test_an_output_that_somebody_wants_meanwhile_comes_with_the_next_image(active, monkeypatch):
    """What was not computed for an image must not be published for it."""
    infer = active.node._estimator.infer
    active.listen("depth")

    def joined(batch):
        if "normals" not in active.received:
            active.listen("normals")
        return infer(batch)

    monkeypatch.setattr(active.node._estimator, "infer", joined)
    active.process(image())
    active.process(image())
    (normals,) = active.outputs("normals", 1)
    assert normals.header == active.outputs("depth", 2)[1].header


def test_an_output_that_raises_costs_its_image_alone(active, monkeypatch):
    fill = DepthImage.fill
    monkeypatch.setattr(DepthImage, "fill", lambda *_: 1 / 0)
    active.listen("depth")
    active.process(image())
    monkeypatch.setattr(DepthImage, "fill", fill)
    active.process(image())
    assert (active.count("processed"), active.count("skipped_internal")) == (1, 1)


def test_a_mask_outlives_its_file_and_is_read_again_when_it_is_set_again(active, tmp_path):
    def draw(rows):
        mask = np.zeros((64, 128), np.uint8)
        mask[rows] = 255
        cv2.imwrite(str(file), mask)

    file = tmp_path / "body.png"
    draw(slice(0, 5))
    setting = parameters(mask__body=str(file))
    assert active.node.set_parameters_atomically(setting).successful
    file.unlink()
    active.listen("depth")
    active.process(image())
    active.process(image(gradient(128)))
    assert active.count("skipped") == 0
    later = parameters(cloud__stride=2, mask__zenith_degrees=1.0)
    assert active.node.set_parameters_atomically(later).successful
    draw(slice(50, 64))
    active.node.set_parameters_atomically(parameters(mask__zenith_degrees=0.0))
    active.process(image())
    assert active.node.set_parameters_atomically(setting).successful
    active.process(image())
    hidden = [np.isnan(image_array(one)).all(axis=1).sum() for one in active.outputs("depth", 4)]
    assert hidden == [5, 10, 5, 14]
