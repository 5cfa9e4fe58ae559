"""What the node leaves undone: no subscription, no network, no field that nobody wants."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from diagnostic_msgs.msg import DiagnosticStatus
from fake_model import write_fake_model
from node_harness import image, parameters, robot, wait_until

from mtpano_ros.frames.demand import Demand
from mtpano_ros.outputs.publishers import Publishers
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
