"""The node's parameters: one documented table, from which ROS's descriptors and the YAML are made.

python -m mtpano_ros.parameters > config/pano.yaml
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from mtpano_model.errors import MtpanoError
from mtpano_model.inference.masks import load_mask
from mtpano_model.inference.output_size import parse_output_size

MAX_OUTPUT_HEIGHT = 4096


def option(
    default: Any,
    description: str,
    choices: tuple[str, ...] = (),
    between: tuple[float, float] | None = None,
    read_only: bool = False,
) -> Any:
    """A parameter. read_only: structural, fixed when the process starts; the others are dynamic."""
    facts = {
        "description": description,
        "choices": choices,
        "between": between,
        "read_only": read_only,
    }
    return field(default=default, metadata=facts)


@dataclass(frozen=True)
class Parameters:
    """All parameters; creating one checks every value (MtpanoError names the first bad one)."""

    model: str = option(
        "default", "ONNX file written by `mtpano export`, or a bundled model.", read_only=True
    )
    backend: str = option(
        "auto",
        "Engine; auto takes the fastest that is installed.",
        choices=("auto", "tensorrt", "openvino", "onnxruntime"),
        read_only=True,
    )
    device: str = option(
        "auto",
        "Where the engine runs; gpu is an Intel GPU through OpenVINO.",
        choices=("auto", "cpu", "cuda", "gpu"),
        read_only=True,
    )
    threads: int = option(
        0, "CPU threads of the engine; 0 leaves it the choice.", between=(0, 256), read_only=True
    )
    precision: str = option(
        "auto",
        "Arithmetic of the engine; auto is fp16 on TensorRT, fp32 elsewhere.",
        choices=("auto", "fp32", "bf16", "fp16"),
        read_only=True,
    )
    autostart: bool = option(
        True,
        "Configure and activate at the start; false leaves it to a lifecycle manager.",
        read_only=True,
    )
    image_transport: str = option(
        "raw",
        "raw subscribes to image, compressed to image/compressed (JPEG or PNG).",
        choices=("raw", "compressed"),
        read_only=True,
    )
    image_timeout: float = option(
        5.0, "Seconds without an image until the node says so.", between=(0.1, 3600.0)
    )
    allow_non_2to1: bool = option(
        False, "Take images that are not 2:1, stretched over the whole sphere all the same."
    )
    output_size: str = option(
        "input",
        "Size of all outputs: input (the image's, at most 512 rows), network or HEIGHTxWIDTH.",
    )
    depth_encoding: str = option(
        "32FC1", "32FC1: metres; 16UC1: millimetres, 0 unknown.", choices=("32FC1", "16UC1")
    )
    frame_id: str = option("", "Frame of all outputs; empty keeps the image's.")
    frame_convention: str = option(
        "optical",
        "Axes of points and normals: optical (x right, y down, z forward) or body (REP-103: x "
        "forward, y left, z up).",
        choices=("optical", "body"),
    )
    min_range: float = option(
        0.0, "Metres; nearer becomes -Inf, and NaN in the cloud.", between=(0.0, 1000.0)
    )
    max_range: float = option(
        0.0, "Metres; farther becomes +Inf, and NaN in the cloud; 0: no limit.", between=(0.0, 1e6)
    )
    cloud_stride: int = option(
        1, "The cloud takes every so-manyth row and column.", between=(1, 64)
    )
    cloud_voxel_size: float = option(
        0.0,
        "Metres; above 0 the cloud is one point a voxel and no longer organised.",
        between=(0.0, 10.0),
    )
    body_mask: str = option(
        "", "Picture (2:1) that is white where the camera sees the robot itself: NaN there."
    )
    mask_zenith_degrees: float = option(
        0.0, "Rows nearer than this to straight up become NaN.", between=(0.0, 90.0)
    )
    mask_nadir_degrees: float = option(
        0.0, "Rows nearer than this to straight down become NaN.", between=(0.0, 90.0)
    )

    def __post_init__(self) -> None:
        for one in fields(self):
            _check(one, getattr(self, one.name))
        fixed = parse_output_size(self.output_size)
        if fixed is not None and fixed[0] > MAX_OUTPUT_HEIGHT:
            raise MtpanoError(
                f"parameter output_size is {self.output_size}, expected at most "
                f"{MAX_OUTPUT_HEIGHT}x{2 * MAX_OUTPUT_HEIGHT}"
            )
        if self.max_range and self.max_range <= self.min_range:
            raise MtpanoError(
                f"parameter max_range is {self.max_range}, expected more than min_range, "
                f"{self.min_range}, or 0 for no limit"
            )
        if self.body_mask:
            load_mask(self.body_mask)

    def changed(self, values: Mapping[str, Any]) -> Parameters:
        """With other values for some names; MtpanoError if they are refused."""
        return replace(self, **values)


NAMES = frozenset(one.name for one in fields(Parameters))


def _check(one: Field[Any], value: Any) -> None:
    kind: Any = type(one.default)
    choices, between = one.metadata["choices"], one.metadata["between"]
    if type(value) is not kind:
        raise MtpanoError(
            f"parameter {one.name} is {value!r}, expected a value of type {kind.__name__} such as "
            f"{one.default!r}"
        )
    if choices and value not in choices:
        raise MtpanoError(f"parameter {one.name} is '{value}', expected {' or '.join(choices)}")
    if between and not (math.isfinite(value) and between[0] <= value <= between[1]):
        raise MtpanoError(
            f"parameter {one.name} is {value}, expected {between[0]:g} to {between[1]:g}"
        )


def descriptor(one: Field[Any]) -> ParameterDescriptor:
    """What `ros2 param describe` shows of a field of Parameters."""
    choices, between = one.metadata["choices"], one.metadata["between"]
    result = ParameterDescriptor(
        name=one.name,
        description=one.metadata["description"],
        additional_constraints=" or ".join(choices),
        read_only=one.metadata["read_only"],
    )
    if between and isinstance(one.default, int):
        result.integer_range = [IntegerRange(from_value=between[0], to_value=between[1], step=0)]
    elif between:
        result.floating_point_range = [
            FloatingPointRange(from_value=float(between[0]), to_value=float(between[1]), step=0.0)
        ]
    return result


def declare(node: Node) -> tuple[Parameters, dict[str, str]]:
    """Declare every parameter; returns the values, and name -> reason for those that are refused.

    A refused start value is told instead of raised, and its default stands in for it: configure
    then answers FAILURE with the reason, where rclpy would let the process die.
    """
    values, problems = Parameters(), {}
    for one in fields(Parameters):
        # First whatever type the user wrote: rclpy refuses `10` where it expects `10.0`.
        loose = ParameterDescriptor(name=one.name, dynamic_typing=True)
        given = node.declare_parameter(one.name, one.default, loose).value
        node.undeclare_parameter(one.name)
        if isinstance(one.default, float) and type(given) is int:
            given = float(given)
        try:
            values = values.changed({one.name: given})
        except MtpanoError as error:
            problems[one.name] = str(error)
        node.declare_parameter(
            one.name, getattr(values, one.name), descriptor(one), ignore_override=True
        )
    return values, problems


def values_by_name(parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Those of ROS's parameters that are ours (not use_sim_time, not a qos_override)."""
    return {one.name: one.value for one in parameters if one.name in NAMES}


def as_yaml() -> str:
    """A parameter file with every default, every key commented."""
    lines = [
        "# Every parameter of the node, with its default. Those marked dynamic change at once with",
        "# `ros2 param set`, the others are read at the start. How to set the QoS of a topic:",
        "# docs/node.md, qos_overrides.",
        "/**:",
        "  ros__parameters:",
    ]
    for one in fields(Parameters):
        facts = one.metadata
        notes = [" or ".join(facts["choices"])] if facts["choices"] else []
        if facts["between"]:
            notes.append("{:g} to {:g}".format(*facts["between"]))
        if not facts["read_only"]:
            notes.append("dynamic")
        lines += ["", f"    # {facts['description']}"]
        if notes:
            lines.append(f"    # [{'; '.join(notes)}]")
        lines.append(f"    {one.name}: {_yaml(one.default)}")
    return "\n".join(lines) + "\n"


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


if __name__ == "__main__":
    print(as_yaml(), end="")
