"""Names of parameters: old ones, misspelt ones and those of ROS itself."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from fake_model import write_fake_model
from node_harness import parameters
from parameter_node import node, served
from rclpy.parameter import Parameter

from mtpano_ros.parameters.options import value_of
from mtpano_ros.parameters.table import OLD_NAMES, OPTIONS


@pytest.mark.parametrize("name", sorted(OLD_NAMES))
def test_an_old_name_is_taken_at_the_start_and_at_run_time_and_said_once(name):
    today = OLD_NAMES[name]
    value = {
        "output_size": "network", "depth_encoding": "16UC1", "frame_id": "base",
        "frame_convention": "body", "body_mask": "",
    }.get(name, 2 if name == "cloud_stride" else 2.5)  # fmt: skip
    with node(**{name: value}) as one:
        assert one.get_parameter(today).value == value
        assert one._settings.problems == {}
        default = OPTIONS[today].default
        (result,) = one.set_parameters(parameters(**{name: default}))
        assert result.successful
        assert value_of(one._settings.current, today) == default
        assert one._settings._told == {name}


def test_the_new_name_wins_over_the_old_one():
    with node(cloud_stride=2, cloud__stride=3) as one:
        assert one._settings.current.cloud.stride == 3


def test_old_names_may_contradict_each_other_together():
    with node() as one:
        together = parameters(cloud_stride=2, mask_zenith_degrees=100)
        result = one.set_parameters_atomically(together)
        assert not result.successful
        assert "mask.zenith_degrees is 100.0, expected 0 to 90" in result.reason
        assert one._settings.current.cloud.stride == 1


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("max_rage", "max_range"),
        ("cloud.strid", "cloud.stride"),
        ("cloud_strid", "cloud.stride (formerly cloud_stride)"),
        ("mask_nadir_degree", "mask.nadir_degrees (formerly mask_nadir_degrees)"),
        ("imagetransport", "image_transport"),
    ],
)
def test_a_misspelt_override_makes_configure_fail_and_names_the_nearest(given, meant):
    with node(**{given: 3}) as one:
        assert one.trigger_configure().name == "FAILURE"
        told = f"parameter '{given}' is not one of this node's: did you mean {meant}?"
        assert told in one._reporter._problem


def test_a_misspelt_name_is_refused_at_run_time_with_the_nearest():
    with node() as one:
        (result,) = served(one, "service", Parameter("max_rage", value=3.0))
        assert result.reason.endswith("not one of this node's: did you mean max_range?")
        (result,) = served(one, "service", Parameter("robot_radius", value=3.0))
        assert result.reason == "parameter 'robot_radius' is not one of this node's"


def test_a_misspelt_override_can_be_mended():
    with node(max_rage=3.0) as one:
        one.trigger_configure()
        one.set_parameters(parameters(max_range=3.0))
        assert one._settings.problems == {}


def test_what_nobody_reads_and_resembles_nothing_is_said_and_no_failure():
    """A file with the key /** holds the parameters of other nodes too."""
    others = {"robot_radius": 0.3, "qos_overrides./depht.publisher.depth": 1}
    with node(**others) as one:
        one._settings.look_for_unread()
        one._settings.look_for_unread_qos()
        assert one._settings.problems == {}
        assert one._settings._told == set(others)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("/depht.publisher.depth", "did you mean qos_overrides./depth.publisher.depth?"),
        ("/parameter_events.publisher.depth", "policies: history, depth, reliability"),
        ("/nothing", "policies: history, depth, reliability"),
    ],
)
def test_a_qos_that_nobody_reads_is_said_with_what_could_be(tmp_path, given, told):
    model = str(write_fake_model(tmp_path / "fake.onnx"))
    lines = []
    with node(model=model, **{f"qos_overrides.{given}": 1}) as one:
        one._settings._tell = lambda _name, line: lines.append(line)
        one.trigger_configure()
        one.trigger_activate()
    assert [
        line for line in lines if f"'qos_overrides.{given}' is not used" in line and told in line
    ]


@pytest.mark.parametrize("name", ["max_range", "cloud_stride", "keep_subscribed", "use_sim_time"])
def test_what_is_declared_cannot_be_unset(name):
    with node() as one:
        (result,) = served(one, "service", Parameter(name, Parameter.Type.NOT_SET))
        assert not result.successful
        assert result.reason.startswith(f"parameter {OLD_NAMES.get(name, name)} is None, expected")
        assert one.has_parameter(OLD_NAMES.get(name, name))


@pytest.mark.parametrize(
    ("policy", "value", "expected"),
    [
        ("reliability", "reliabel", "reliable or best_effort"),
        ("reliability", 1, "a value of type str"),
        ("history", "keep_some", "keep_last or keep_all"),
        ("depth", "many", "a value of type int"),
        ("depth", -1, "0 to 1e+06"),
        ("depth", 2**40, "0 to 1e+06"),
    ],
)
@pytest.mark.parametrize("topic", ["/depth.publisher", "/diagnostics.publisher"])
def test_a_wrong_qos_is_named_with_what_it_may_be(tmp_path, topic, policy, value, expected):
    name = f"qos_overrides.{topic}.{policy}"
    model = str(write_fake_model(tmp_path / "fake.onnx"))
    with node(model=model, **{name: value}) as one:
        assert one.trigger_configure().name == "FAILURE"
        said = one._reporter._problem
        assert said.startswith(f"parameter {name} is {value!r}, expected ")
        assert expected in said


def test_ros_own_parameters_are_not_misspelt_ones():
    with node(use_sim_time=True) as one:
        one._settings.look_for_unread()
        assert one._settings._told == set()
