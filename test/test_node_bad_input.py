"""Bad input over real DDS: the node stays active, skips, warns once, counts, and goes on."""

from __future__ import annotations

import array
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from fake_model import write_fake_model
from node_harness import compressed, gradient, image, jpeg, parameters, robot, wait_until

from mtpano_ros.tools.reading import cloud_array, image_array

SQUARE = np.ascontiguousarray(gradient()[:, :64])
BAD_IMAGES = {
    "encoding": lambda: image(encoding="rgb9"),
    "single_channel": lambda: image(gradient()[..., 0].astype(np.float32), encoding="32FC1"),
    "data": lambda: image(data=array.array("B", bytes(100))),
    "step": lambda: image(step=100),
    "size": lambda: image(width=0, height=0, step=0, data=array.array("B")),
    "aspect": lambda: image(SQUARE),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx")


@pytest.fixture(scope="module")
def bot(model):
    """One node for the whole file: it must survive all of it."""
    with robot(model) as bot:
        bot.activate()
        bot.listen("depth")
        yield bot


def good_frame_comes_through(bot):
    before = len(bot.received["depth"])
    bot.process(image())
    bot.outputs("depth", before + 1)


@pytest.mark.parametrize("reason", BAD_IMAGES)
def test_a_bad_image_is_skipped_told_once_and_counted(bot, reason):
    before, processed = bot.count(f"skipped_{reason}"), bot.count("processed")
    for _ in range(3):
        bot.process(BAD_IMAGES[reason]())
    assert bot.count(f"skipped_{reason}") == before + 3
    assert bot.count("processed") == processed
    good_frame_comes_through(bot)
    told = wait_until(lambda: bot.said("skipped an image"), what="a warning")
    assert "expected" in told[-1]
    assert len(set(told)) == len(told), "each told once"
    wait_until(
        lambda: bot.values("frames").get(f"skipped_{reason}") == str(before + 3),
        what="the count on /diagnostics",
    )


def test_stamps_that_go_backwards_cost_one_image(bot):
    now = time.time_ns()
    bot.process(image(stamp=now))
    processed, skipped = bot.count("processed"), bot.count("skipped_stamp")
    bot.process(image(stamp=now - 10**9))
    assert (bot.count("processed"), bot.count("skipped_stamp")) == (processed, skipped + 1)
    wait_until(lambda: bot.said("expected stamps that grow"))
    for later in (1, 2, 3):  # a bag that began again: its second image is taken
        bot.process(image(stamp=now - 10**9 + later))
    assert (bot.count("processed"), bot.count("skipped_stamp")) == (processed + 3, skipped + 1)


def test_allowing_other_aspects_takes_effect_at_once(bot):
    processed = bot.count("processed")
    bot.node.set_parameters(parameters(allow_non_2to1=True, outputs__size="network"))
    bot.process(image(SQUARE))
    bot.node.set_parameters(parameters(allow_non_2to1=False, outputs__size="input"))
    assert bot.count("processed") == processed + 1


def test_inference_that_raises_costs_one_image(bot, monkeypatch):
    def broken(batch):
        raise RuntimeError("out of\n device memory")

    before = bot.count("skipped_inference")
    with monkeypatch.context() as patch:
        patch.setattr(bot.node._estimator, "infer", broken)
        for _ in range(3):
            bot.process(image())
    assert bot.count("skipped_inference") == before + 3
    wait_until(lambda: bot.said("RuntimeError"))
    assert len(bot.said("RuntimeError")) == 1
    good_frame_comes_through(bot)


def test_nan_from_the_network_becomes_nan_pixels(bot, monkeypatch):
    infer = bot.node._estimator.infer

    def ill(batch):
        outputs = {name: values.copy() for name, values in infer(batch).items()}
        outputs["depth"][..., 3, 5] = np.nan
        outputs["normals"][..., 10, 5] = np.inf
        outputs["semseg"][..., 20, 5] = np.nan
        return outputs

    bot.listen("normals", "semantic", "points")
    before = bot.count("non_finite")
    with monkeypatch.context() as patch:
        patch.setattr(bot.node._estimator, "infer", ill)
        message = image()
        bot.process(message)
    assert bot.count("non_finite") == before + 1
    wait_until(lambda: bot.said("NaN or infinite"))

    def last(name):
        kept = wait_until(
            lambda: [m for m in bot.received[name] if m.header.stamp == message.header.stamp]
        )
        return kept[0]

    # The network's pixel (3, 5) is the output's (6..7, 10..11).
    assert np.isnan(image_array(last("depth"))[6, 10])
    assert np.isnan(image_array(last("normals"))[20, 10]).all()
    assert image_array(last("semantic"))[40, 10] == 255
    cloud = cloud_array(last("points"))
    assert np.isnan(cloud["x"][6, 10])
    assert cloud["label"][40, 10] == 255
    good_frame_comes_through(bot)


JPEG = jpeg(gradient())


@pytest.mark.parametrize(
    "data", [JPEG[: len(JPEG) // 2], JPEG[:30] + bytes(300), b"", b"no picture at all"]
)
def test_corrupt_and_truncated_jpegs_are_skipped(model, data):
    with robot(model, image_transport="compressed") as bot:
        bot.activate()
        bot.listen("depth")
        bot.process(compressed(data))
        assert bot.count("skipped_compressed") == 1
        wait_until(lambda: bot.said("expected"))
        bot.process(compressed())
        bot.outputs("depth", 1)
