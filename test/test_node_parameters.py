"""Parameters as a user meets them: declared with reasons, refused with reasons, applied at once."""

from __future__ import annotations

import contextlib
from dataclasses import fields

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

import rclpy
from node_harness import parameters
from rclpy.context import Context
from rclpy.parameter import Parameter

from mtpano_model.errors import MtpanoError
from mtpano_ros.node import PanoNode
from mtpano_ros.parameters import Parameters


@contextlib.contextmanager
def node(**values):
    context = Context()
    rclpy.init(context=context)
    one = PanoNode(context=context, parameter_overrides=parameters(autostart=False, **values))
    try:
        yield one
    finally:
        one.close()
        one.destroy_node()
        rclpy.shutdown(context=context)


def test_every_parameter_describes_itself():
    with node() as one:
        for field in fields(Parameters):
            descriptor = one.describe_parameter(field.name)
            assert len(descriptor.description) > 15
            assert one.get_parameter(field.name).value == (
                False if field.name == "autostart" else field.default
            )
        assert one.describe_parameter("model").read_only
        assert one.describe_parameter("backend").read_only
        assert not one.describe_parameter("max_range").read_only
        stride = one.describe_parameter("cloud_stride").integer_range[0]
        assert (stride.from_value, stride.to_value) == (1, 64)
        span = one.describe_parameter("mask_nadir_degrees").floating_point_range[0]
        assert (span.from_value, span.to_value) == (0.0, 90.0)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("cloud_stride", 0, "cloud_stride"),
        ("cloud_stride", 65, "cloud_stride"),
        ("max_range", -1.0, "max_range"),
        ("max_range", float("nan"), "max_range"),
        ("min_range", float("inf"), "min_range"),
        ("frame_convention", "enu", "'enu', expected optical or body"),
        ("depth_encoding", "64FC1", "'64FC1', expected 32FC1 or 16UC1"),
        ("output_size", "large", "'large'"),
        ("output_size", "300x500", "not 2:1"),
        ("output_size", "8192x16384", "at most 4096x8192"),
        ("output_size", "0x0", "0x0"),
        ("body_mask", "/no/such/mask.png", "does not exist"),
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
        assert getattr(one._settings, name) == before


def test_good_values_hold_at_once():
    with node() as one:
        results = one.set_parameters(parameters(max_range=8.0, cloud_stride=3, frame_id="pano"))
        assert all(result.successful for result in results)
        assert (one._settings.max_range, one._settings.cloud_stride) == (8.0, 3)


def test_ranges_that_contradict_each_other_are_refused_together():
    with node() as one:
        result = one.set_parameters_atomically(parameters(min_range=5.0, max_range=2.0))
        assert not result.successful
        assert "max_range is 2.0, expected more than min_range, 5.0" in result.reason
        assert one.get_parameter("min_range").value == 0.0


def test_a_whole_number_will_do_for_a_float():
    with node(max_range=10, image_timeout=3) as one:
        assert one._settings.max_range == 10.0
        assert one.get_parameter("image_timeout").value == 3.0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"backend": "cuda11"}, "backend is 'cuda11', expected auto or tensorrt"),
        ({"cloud_stride": 1000}, "cloud_stride is 1000, expected 1 to 64"),
        ({"cloud_stride": "two"}, "cloud_stride is 'two', expected a value of type int"),
        ({"max_range": -3}, "max_range is -3.0"),
        ({"output_size": "10x10"}, "'10x10' is not 2:1"),
        ({"min_range": 4.0, "max_range": 2.0}, "max_range is 2.0"),
    ],
)
def test_a_bad_value_at_the_start_makes_configure_fail_with_a_line(wrong, told):
    with node(**wrong) as one:
        assert one.trigger_configure().name == "FAILURE"
        assert told in one._reporter._problem
        assert "\n" not in one._reporter._problem


def test_a_bad_start_value_can_be_mended():
    with node(cloud_stride=1000) as one:
        assert one.trigger_configure().name == "FAILURE"
        one.set_parameters(parameters(cloud_stride=2))
        assert not one._problems


def test_a_mask_that_is_no_panorama_is_refused(tmp_path):
    square = tmp_path / "square.png"
    cv2.imwrite(str(square), np.zeros((8, 8), np.uint8))
    with pytest.raises(MtpanoError, match="8x8, expected 2:1"):
        Parameters(body_mask=str(square))
    text = tmp_path / "text.png"
    text.write_text("no picture")
    with pytest.raises(MtpanoError, match="not a picture"):
        Parameters(body_mask=str(text))
