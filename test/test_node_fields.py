"""What of a frame is computed, and with which parameters."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from fake_model import write_fake_model
from node_harness import compressed, gradient, image, parameters, robot

from mtpano_model.inference import load_estimator
from mtpano_ros.outputs.images import DepthImage
from mtpano_ros.tools.reading import image_array


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx")


@pytest.fixture
def active(model):
    with robot(model) as bot:
        bot.activate()
        yield bot


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
