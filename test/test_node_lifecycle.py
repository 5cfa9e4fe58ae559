"""The node's life: transitions, failures that are told and not thrown, two side by side."""

from __future__ import annotations

import gc
import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from fake_model import default_classes, write_fake_model
from lifecycle_calls import call, change, state_of
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import GetState
from node_harness import gradient, image, robot, wait_until
from rcl_interfaces.srv import GetParameters

from mtpano_model import inference
from mtpano_model.inference.engines.progress import BuildCancelled, BuildProgress
from mtpano_ros.tools.reading import image_array


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx")


def test_configure_activate_deactivate_cleanup_and_again_by_service(model):
    with robot(model) as bot:
        for turn in range(1, 4):
            assert change(bot, Transition.TRANSITION_CONFIGURE)
            wait_until(lambda: not bot.world.count_subscribers("image"), what="none listens")
            assert change(bot, Transition.TRANSITION_ACTIVATE)
            subscription = bot.listen("depth")
            bot.process(image())
            bot.outputs("depth", turn)
            bot.world.destroy_subscription(subscription)
            assert change(bot, Transition.TRANSITION_DEACTIVATE)
            assert change(bot, Transition.TRANSITION_CLEANUP)
            assert state_of(bot) == "unconfigured"
        assert change(bot, Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
        assert state_of(bot) == "finalized"


def test_a_transition_that_is_not_allowed_now_is_refused(model):
    with robot(model) as bot:
        assert not change(bot, Transition.TRANSITION_ACTIVATE)
        assert state_of(bot) == "unconfigured"
        assert change(bot, Transition.TRANSITION_CONFIGURE)
        assert not change(bot, Transition.TRANSITION_CONFIGURE)
        assert state_of(bot) == "inactive"


def test_an_inactive_node_does_not_listen(model):
    with robot(model) as bot:
        bot.activate()
        bot.node.trigger_deactivate()
        wait_until(lambda: bot.world.count_subscribers("image") == 0)


def test_autostart_configures_and_activates(model):
    with robot(model, autostart=True) as bot:
        wait_until(lambda: state_of(bot) == "active")
        bot.listen("depth")
        bot.process(image())
        bot.outputs("depth", 1)


def test_an_engine_that_throws_makes_configure_fail(model, monkeypatch):
    def broken(*_, **__):
        raise OSError("libwhatever.so: cannot open\nshared object file")

    monkeypatch.setattr(inference, "load_estimator", broken)
    with robot(model) as bot:
        assert not change(bot, Transition.TRANSITION_CONFIGURE)
        wait_until(lambda: bot.said("OSError: libwhatever.so: cannot open"))
        monkeypatch.undo()
        assert change(bot, Transition.TRANSITION_CONFIGURE), "a failure is not the end"


@pytest.mark.parametrize(
    ("topic", "transition"),
    [("depth.publisher", "configure"), ("image.subscription", "activate")],
)
def test_a_qos_override_nobody_understands_makes_a_transition_fail(model, topic, transition):
    override = {f"qos_overrides./mtpano/{topic}.reliability": "sometimes"}
    with robot(model, **override) as bot:
        results = [bot.node.trigger_configure().name]
        if transition == "activate":
            results.append(bot.node.trigger_activate().name)
        assert results[-1] == "FAILURE"
        wait_until(lambda: bot.said(f"{transition} failed: parameter {next(iter(override))} is"))


def test_services_answer_while_the_network_runs(model, monkeypatch):
    gate = threading.Event()
    with robot(model) as bot:
        bot.activate()
        bot.listen("depth")
        infer = bot.node._estimator.infer
        monkeypatch.setattr(bot.node._estimator, "infer", lambda b: gate.wait(20) and infer(b))
        bot.send(image())
        wait_until(lambda: bot.count("pending") == 1)
        assert call(bot, GetState, "get_state", timeout=2).current_state.label == "active"
        request = GetParameters.Request(names=["max_range"])
        assert call(bot, GetParameters, "get_parameters", request, timeout=2).values
        threading.Timer(0.2, gate.set).start()
        assert change(bot, Transition.TRANSITION_DEACTIVATE)
        bot.outputs("depth", 1)


def test_services_answer_while_an_engine_is_built(model, monkeypatch):
    gate, load = threading.Event(), inference.load_estimator

    def slow(*arguments, progress, **options):
        progress(BuildProgress("choosing tactics", 0.42, 17.0))
        gate.wait(20)
        return load(*arguments, progress=progress, **options)

    monkeypatch.setattr(inference, "load_estimator", slow)
    with robot(model) as bot:
        done = []
        configuring = threading.Thread(
            target=lambda: done.append(change(bot, Transition.TRANSITION_CONFIGURE))
        )
        configuring.start()
        wait_until(lambda: state_of(bot) == "configuring")
        assert call(bot, GetState, "get_state", timeout=2).current_state.label == "configuring"
        wait_until(lambda: bot.diagnostics and "42%" in bot.values("engine")["progress"])
        assert bot.values("engine")["state"] == "configuring"
        gate.set()
        configuring.join()
        assert done == [True]


def test_the_end_of_the_process_cancels_an_engine_build(model, monkeypatch):
    def building(*_, cancel, **__):
        assert cancel.wait(20)
        raise BuildCancelled("the engine build was cancelled")

    monkeypatch.setattr(inference, "load_estimator", building)
    with robot(model, autostart=True) as bot:
        wait_until(lambda: state_of(bot) == "configuring")
        assert bot.node.close()
        wait_until(lambda: state_of(bot) == "unconfigured")
        assert not bot.said("cancelled"), "a wish fulfilled is no error"


def test_two_nodes_with_different_models_side_by_side(tmp_path):
    few = [dict(default_classes()[n], name=f"few {n}") for n in range(2)]
    first = write_fake_model(tmp_path / "first.onnx", size=(64, 128))
    second = write_fake_model(tmp_path / "second.onnx", size=(32, 64), classes=few)
    with (
        robot(first, namespace="/one", outputs__size="network") as one,
        robot(second, namespace="/two", outputs__size="network") as two,
    ):
        for bot in (one, two):
            bot.activate()
            bot.listen("semantic", "depth")
        for _ in range(3):
            for bot in (one, two):
                bot.process(image(gradient(96)))
        labels = {bot: image_array(bot.outputs("semantic", 3)[-1]) for bot in (one, two)}
        assert labels[one].shape == (64, 128)
        assert labels[two].shape == (32, 64)
        assert len(np.unique(labels[one])) > 2
        assert labels[two].max() <= 1


def test_a_destroyed_node_leaves_the_graph_without_the_garbage_collector(model):
    with robot(model) as watcher:

        def seen():
            return "leaving" in watcher.world.get_node_names()

        gc.disable()
        try:
            with robot(model, "leaving") as bot:
                bot.activate()
                wait_until(seen)
            wait_until(lambda: not seen(), what="the node is gone")
        finally:
            gc.enable()


def test_churn_under_load_leaves_nothing_behind(model):
    with robot(model) as bot:
        stop = threading.Event()
        camera = bot.world.create_publisher(type(image()), "image", 1)

        def shoot():
            while not stop.wait(0.005):
                camera.publish(image())

        shooting = threading.Thread(target=shoot)
        shooting.start()
        bot.listen("points", matched=False)
        threads = []
        for _ in range(10):
            bot.activate()
            bot.node.trigger_deactivate()
            bot.node.trigger_cleanup()
            # An executor starts its few threads when it first needs them.
            names = [thread.name for thread in threading.enumerate()]
            threads.append(sum(not name.startswith("ThreadPoolExecutor") for name in names))
        bot.activate()
        before = bot.count("processed")
        wait_until(lambda: bot.count("processed") > before, what="work goes on")
        stop.set()
        shooting.join()
        wait_until(lambda: bot.count("pending") == 0, what="every image is accounted for")
        assert threads[-1] <= threads[1]


def test_an_image_under_way_comes_out_before_deactivate_returns(model, monkeypatch):
    with robot(model) as bot:
        bot.activate()
        bot.listen("depth")
        infer = bot.node._estimator.infer
        monkeypatch.setattr(
            bot.node._estimator, "infer", lambda batch: time.sleep(0.2) or infer(batch)
        )
        bot.send(image())
        wait_until(lambda: bot.count("pending") == 1)
        time.sleep(0.1)
        bot.node.trigger_deactivate()
        assert (bot.count("pending"), bot.count("processed")) == (0, 1)
