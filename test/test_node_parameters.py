"""Parameters as a user meets them: declared with reasons, refused with reasons, applied at once."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from node_harness import parameters
from parameter_node import node, served
from rclpy.parameter import Parameter

from mtpano_model.errors import MtpanoError
from mtpano_ros.parameters.groups import MaskOptions
from mtpano_ros.parameters.options import value_of
from mtpano_ros.parameters.table import OPTIONS


def test_every_parameter_describes_itself():
    with node() as one:
        for name, option in OPTIONS.items():
            assert len(one.describe_parameter(name).description) > 15
            assert one.get_parameter(name).value == (
                False if name == "autostart" else option.default
            )
        assert one.describe_parameter("model").read_only
        assert one.describe_parameter("backend").read_only
        assert not one.describe_parameter("max_range").read_only
        stride = one.describe_parameter("cloud.stride").integer_range[0]
        assert (stride.from_value, stride.to_value) == (1, 64)
        span = one.describe_parameter("mask.nadir_degrees").floating_point_range[0]
        assert (span.from_value, span.to_value) == (0.0, 90.0)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("cloud.stride", 0, "cloud.stride"),
        ("cloud.stride", 65, "cloud.stride"),
        ("cloud.voxel_size", 5e-324, "0 or at least 0.001"),
        ("max_range", -1.0, "max_range"),
        ("max_range", float("nan"), "max_range"),
        ("min_range", float("inf"), "min_range"),
        ("outputs.frame_convention", "enu", "'enu', expected optical or body"),
        ("outputs.depth_encoding", "64FC1", "'64FC1', expected 32FC1 or 16UC1"),
        ("outputs.size", "large", "'large'"),
        ("outputs.size", "300x500", "not 2:1"),
        ("outputs.size", "8192x16384", "at most 4096x8192"),
        ("outputs.size", "0x0", "0x0"),
        ("mask.body", "/no/such/mask.png", "does not exist"),
        ("model", "other", "read-only"),
        ("backend", "openvino", "read-only"),
    ],
)
def test_bad_values_are_refused_with_a_reason(name, value, told):
    with node() as one:
        before = one.get_parameter(name).value
        (result,) = one.set_parameters([Parameter(name, value=value)])
        assert not result.successful
        assert told in result.reason
        assert one.get_parameter(name).value == before
        assert value_of(one._settings.current, name) == before


def test_good_values_hold_at_once():
    with node() as one:
        results = one.set_parameters(
            parameters(max_range=8.0, cloud__stride=3, outputs__frame_id="pano")
        )
        assert all(result.successful for result in results)
        assert (one._settings.current.max_range, one._settings.current.cloud.stride) == (8.0, 3)


def test_ranges_that_contradict_each_other_are_refused_together():
    with node() as one:
        result = one.set_parameters_atomically(parameters(min_range=5.0, max_range=2.0))
        assert not result.successful
        assert "max_range is 2.0, expected more than min_range, 5.0" in result.reason
        assert one.get_parameter("min_range").value == 0.0


def test_a_whole_number_will_do_for_a_float():
    with node(max_range=10, image_timeout=3) as one:
        assert one._settings.current.max_range == 10.0
        assert one.get_parameter("image_timeout").value == 3.0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"backend": "cuda11"}, "backend is 'cuda11', expected auto or tensorrt"),
        ({"cloud.stride": 1000}, "cloud.stride is 1000, expected 1 to 64"),
        ({"cloud.stride": "two"}, "cloud.stride is 'two', expected a value of type int"),
        ({"max_range": -3}, "max_range is -3.0"),
        ({"max_range": "5.0"}, "expected a value of type float such as 0.0, without quotes"),
        ({"cloud.classes": ["wall", "door"]}, "expected one text in quotes, and no list of YAML"),
        ({"outputs.size": "10x10"}, "'10x10' is not 2:1"),
        ({"min_range": 4.0, "max_range": 2.0}, "max_range is 2.0"),
    ],
)
def test_a_bad_value_at_the_start_makes_configure_fail_with_a_line(wrong, told):
    with node(**wrong) as one:
        assert one.trigger_configure().name == "FAILURE"
        assert told in one._reporter._problem
        assert "\n" not in one._reporter._problem


def test_a_bad_start_value_can_be_mended():
    with node(cloud__stride=1000) as one:
        assert one.trigger_configure().name == "FAILURE"
        one.set_parameters(parameters(cloud__stride=2))
        assert not one._settings.problems


def test_a_mask_that_is_no_panorama_is_refused(tmp_path):
    square = tmp_path / "square.png"
    cv2.imwrite(str(square), np.zeros((8, 8), np.uint8))
    with pytest.raises(MtpanoError, match="8x8, expected 2:1"):
        MaskOptions(body=str(square))
    text = tmp_path / "text.png"
    text.write_text("no picture")
    with pytest.raises(MtpanoError, match="not a picture"):
        MaskOptions(body=str(text))


FLOATS = [name for name, option in OPTIONS.items() if option.kind is float]
DYNAMIC_FLAGS = [name for name, one in OPTIONS.items() if one.kind is bool and not one.read_only]


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("how", ["service", "atomic service", "call"])
def test_a_whole_number_will_do_for_a_float_at_run_time(name, how):
    """rqt and Foxglove send 10 for 10.0."""
    with node(scan__max_height=9.0, obstacles__max_height=9.0) as one:
        given = Parameter(name, value=3)
        results = one.set_parameters([given]) if how == "call" else served(one, how, given)
        assert [result.successful for result in results] == [True], results[0].reason
        assert (one.get_parameter(name).value, type(one.get_parameter(name).value)) == (3.0, float)


def test_a_float_that_is_whole_will_do_for_an_int():
    with node(cloud__stride=4.0, threads=2.0) as one:
        assert one._settings.problems == {}
        assert one._settings.current.threads == 2
        assert one.set_parameters(parameters(cloud__stride=2.0))[0].successful
        assert one.get_parameter("cloud.stride").value == 2
        (result,) = one.set_parameters(parameters(cloud__stride=2.5))
        assert "cloud.stride is 2.5, expected a value of type int such as 1" in result.reason


@pytest.mark.parametrize("name", DYNAMIC_FLAGS)
@pytest.mark.parametrize("value", [1, 0, "yes", 1.0])
def test_what_is_no_flag_is_refused_in_plain_words(name, value):
    with node() as one:
        (result,) = one.set_parameters(parameters(**{name: value}))
        assert not result.successful
        assert result.reason == f"parameter {name} is {value!r}, expected true or false"
    with node(**{name: value}) as one:
        assert one._settings.problems == {name: result.reason}


@pytest.mark.parametrize("value", [1, "yes", 1.0, [True]])
@pytest.mark.parametrize("name", ["use_sim_time", "start_type_description_service"])
def test_a_flag_of_rclpy_own_that_is_no_flag_makes_configure_fail(name, value):
    with node(**{name: value}) as one:
        if name != "use_sim_time" and not one.has_parameter(name):
            pytest.skip("rclpy has this parameter since Jazzy")
        assert one.get_parameter(name).value is (name != "use_sim_time")
        assert one.trigger_configure().name == "FAILURE"
        assert f"{name} is {value!r}, expected true or false" in one._reporter._problem


@pytest.mark.parametrize("value", [1, "yes", 1.0, [True]])
def test_a_simulated_clock_is_mended_and_refused_at_run_time(value):
    with node(use_sim_time=value) as one:
        (result,) = one.set_parameters(parameters(use_sim_time=value))
        assert result.reason == f"parameter use_sim_time is {value!r}, expected true or false"
        one.set_parameters(parameters(use_sim_time=True))
        assert one._settings.problems == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mask.body", "m" * 300),
        ("mask.body", "~nosuchuser/m.png"),
        ("mask.body", "a\0b"),
        ("outputs.size", "9" * 5000 + "x2"),
        ("outputs.size", "\u0662\u0665\u0666x\u0665\u0661\u0662"),
        ("outputs.size", "256x\uff15\uff11\uff12"),
        ("outputs.frame_convention", "x" * 10000),
        ("max_range", "x" * 10000),
        ("x" * 10000, 1),
    ],
)
def test_hostile_values_are_refused_with_one_line(name, value):
    with node() as one:
        (result,) = one.set_parameters(parameters(**{name: value}))
        assert not result.successful
        assert 0 < len(result.reason) < 500
        assert "\n" not in result.reason
    with node(**{name: value}) as one:
        if name in OPTIONS:  # else it is for another node
            assert one.trigger_configure().name == "FAILURE"
            assert 0 < len(one._reporter._problem) < 500


@pytest.mark.parametrize("how", ["service", "atomically"])
@pytest.mark.parametrize("value", ["m" * 100_000, "a\n[ERROR] forged", "\x1b[31mred", "a\0b"])
@pytest.mark.parametrize("name", ["mask.body", "outputs.size", "scan.frame", "camera_height"])
def test_no_text_breaks_the_line_of_its_refusal(name, value, how):
    with node() as one:
        result = served(one, how, Parameter(name, value=value))[0]
        assert not result.successful
        assert result.reason.isprintable()
        assert 0 < len(result.reason) <= 2003
