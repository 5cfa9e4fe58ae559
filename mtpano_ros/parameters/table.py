"""The node's parameters: the one table, from which ROS's descriptors and the YAML are made.

python -m mtpano_ros.parameters > config/pano.yaml
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from textwrap import wrap

from mtpano_model.engine_names import BACKEND_CHOICES, DEVICE_CHOICES, PRECISION_CHOICES
from mtpano_model.errors import MtpanoError
from mtpano_model.inference.postprocess_rules import DEPTH_FINISHES, USUAL_FINISH
from mtpano_model.robot.edge_filter import DEFAULT_DEGREES
from mtpano_ros.parameters.groups import (
    AttitudeOptions,
    CloudOptions,
    MaskOptions,
    ObstacleOptions,
    OutputOptions,
    ScanOptions,
    ViewOptions,
)
from mtpano_ros.parameters.options import Group, Option, option, options_of
from mtpano_ros.parameters.texts import parse_camera_height


@dataclass(frozen=True)
class Parameters(Group):
    """All parameters; creating one checks every value (MtpanoError names the first bad one)."""

    model: str = option(
        "default",
        "Path of an ONNX file that `mtpano export` wrote, or the name of a bundled model.",
        read_only=True,
    )
    backend: str = option(
        "auto",
        "Inference engine. auto: the fastest one that is installed.",
        choices=BACKEND_CHOICES,
        read_only=True,
    )
    device: str = option(
        "auto",
        "Device that the engine runs on. gpu: an Intel GPU, through OpenVINO. tensorrt: an NVIDIA "
        "GPU through ONNX Runtime's TensorRT provider.",
        choices=DEVICE_CHOICES,
        read_only=True,
    )
    threads: int = option(
        0,
        "CPU threads of the engine. 0: the engine chooses.",
        between=(0, 256),
        read_only=True,
    )
    precision: str = option(
        "auto",
        "Arithmetic of the engine. auto: fp16 on GPUs; bf16 in OpenVINO on a processor with "
        "AVX512_BF16 or AMX; else fp32.",
        choices=("auto", *PRECISION_CHOICES),
        read_only=True,
    )
    autostart: bool = option(
        True,
        "Configure and activate when the process starts. Set it to false where a lifecycle "
        "manager does that.",
        read_only=True,
    )
    image_transport: str = option(
        "raw",
        "raw: subscribe to image. compressed: subscribe to image/compressed (JPEG, PNG, or video "
        "of format h264 or hevc). video: subscribe to image with the type that is published "
        "there: CompressedImage, FFMPEGPacket or CompressedVideo.",
        choices=("raw", "compressed", "video"),
        read_only=True,
    )
    rig: str = option(
        "",
        "Path of a rig file (docs/cameras.md) or of Kalibr's camchain. The panorama is then made "
        "from the topics of its lenses, and the node does not subscribe to image.",
        read_only=True,
    )
    image_timeout: float = option(
        5.0,
        "Seconds without an image after which the node warns.",
        between=(0.1, 3600.0),
    )
    keep_subscribed: bool = option(
        False,
        "Stay subscribed to the camera while nobody subscribes to an output, so that the next "
        "subscriber need not wait for DDS discovery. By default the node unsubscribes.",
    )
    allow_non_2to1: bool = option(
        False,
        "Accept images that are not 2:1. They are stretched over the whole sphere.",
    )
    min_range: float = option(
        0.0,
        "Metres. A depth below this becomes -Inf, and its point becomes NaN.",
        between=(0.0, 1000.0),
    )
    max_range: float = option(
        0.0,
        "Metres. A depth above this becomes +Inf, and its point becomes NaN. 0: no limit.",
        between=(0.0, 1e6),
    )
    depth_finish: str = option(
        USUAL_FINISH,
        "normals: correct depth by the predicted normals, so that walls are flat and depth steps "
        "sharp. This takes some milliseconds of one core for each image. off: depth as the network "
        "predicts it.",
        choices=DEPTH_FINISHES,
    )
    level: str = option(
        "off",
        "Turn the panorama upright before the network sees it, and the outputs back. The tilt is "
        "measured by: off: nothing. imu: the topic imu. tf: attitude.frame. self: the floor and "
        "ceiling in the image.",
        choices=("off", "imu", "tf", "self"),
        read_only=True,
    )
    camera_height: str = option(
        "",
        "Metres from the floor to the camera, or a TF frame on the floor such as base_footprint. "
        "Depth is then scaled so that the floor lies there, and clouds have heights. Empty: "
        "unknown.",
        numbers=True,
    )
    edge_filter: float = option(
        DEFAULT_DEGREES,
        "Degrees. A point hangs between foreground and background if the lines to both of its "
        "neighbours are seen at a smaller angle than this. It becomes NaN in clouds, scan and "
        "views. 0: off.",
        between=(0.0, 89.0),
    )
    outputs: OutputOptions = field(default_factory=OutputOptions)
    cloud: CloudOptions = field(default_factory=CloudOptions)
    mask: MaskOptions = field(default_factory=MaskOptions)
    attitude: AttitudeOptions = field(default_factory=AttitudeOptions)
    scan: ScanOptions = field(default_factory=ScanOptions)
    obstacles: ObstacleOptions = field(default_factory=ObstacleOptions)
    views: ViewOptions = field(default_factory=ViewOptions)

    @property
    def camera_metres(self) -> float | str | None:
        """`camera_height`: metres, the name of a frame, or None where nothing is known."""
        return parse_camera_height(self.camera_height)

    def __post_init__(self) -> None:
        parse_camera_height(self.camera_height)
        if self.max_range and self.max_range <= self.min_range:
            raise MtpanoError(
                f"parameter max_range is {self.max_range}, expected more than min_range, "
                f"{self.min_range}, or 0 for no limit"
            )


OPTIONS: dict[str, Option] = {one.name: one for one in options_of(Parameters())}
# Names of the last minor version, accepted until the next one: old name -> name.
OLD_NAMES = {one.old: name for name, one in OPTIONS.items() if one.old}


def as_yaml() -> str:
    """A parameter file with every default, every key commented."""
    lines = [
        "# Every parameter of the node with its default. `ros2 param set` changes a dynamic",
        "# parameter at once; the others are read when the process starts. docs/node.md says under",
        "# qos_overrides, how to set the QoS of a topic.",
        "/**:",
        "  ros__parameters:",
    ]
    group = ""
    for one in OPTIONS.values():
        own, _, key = one.name.rpartition(".")
        if own != group:
            lines += ["", f"    {own}:"]
            group = own
        indent = "      " if own else "    "
        notes = [" or ".join(one.choices)] if one.choices else []
        if one.between:
            notes.append("{:g} to {:g}".format(*one.between))
        if not one.read_only:
            notes.append("dynamic")
        lines += ["", *_comment(indent, one.description)]
        if notes:
            lines.append(f"{indent}# [{'; '.join(notes)}]")
        lines.append(f"{indent}{key}: {json.dumps(one.default)}")
    return "\n".join(lines) + "\n"


def _comment(indent: str, text: str) -> list[str]:
    start = f"{indent}# "
    return wrap(text, 100, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)
