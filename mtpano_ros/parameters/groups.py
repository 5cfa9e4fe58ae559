"""The groups of the node's parameters; `table` puts them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mtpano_model.errors import MtpanoError
from mtpano_model.pictures.output_size import parse_output_size
from mtpano_model.robot.height import ObstacleRules
from mtpano_model.robot.scan import ScanRules
from mtpano_ros.parameters.options import Group, option
from mtpano_ros.parameters.texts import Rotation, check_frame, parse_rotation, parse_views

if TYPE_CHECKING:
    from mtpano_model.pictures.body_mask import Mask
    from mtpano_model.robot.views import View

MAX_OUTPUT_HEIGHT = 4096
FINEST_VOXEL = 0.001


@dataclass(frozen=True)
class OutputOptions(Group):
    """What holds for several outputs."""

    size: str = option(
        "input",
        "Size of every output. input: the size of the image, or with a rig the size that its "
        "lenses resolve; at most 512 rows. network: the size of the network's input. Otherwise "
        "HEIGHTxWIDTH in pixels, such as 256x512.",
        old="output_size",
    )
    depth_encoding: str = option(
        "32FC1",
        "Encoding of the depth image. 32FC1: metres. 16UC1: millimetres, where 0 means unknown.",
        choices=("32FC1", "16UC1"),
        old="depth_encoding",
    )
    frame_id: str = option(
        "",
        "The frame_id of every output. If it is empty, outputs keep the frame_id of their image.",
        old="frame_id",
    )
    frame_convention: str = option(
        "optical",
        "Axes of the points and normals. optical: x right, y down, z forward. body (REP-103): x "
        "forward, y left, z up.",
        choices=("optical", "body"),
        old="frame_convention",
    )

    def __post_init__(self) -> None:
        fixed = parse_output_size(self.size)
        if fixed is not None and fixed[0] > MAX_OUTPUT_HEIGHT:
            raise MtpanoError(
                f"parameter outputs.size is {self.size}, expected at most "
                f"{MAX_OUTPUT_HEIGHT}x{2 * MAX_OUTPUT_HEIGHT}"
            )
        if self.frame_id:
            check_frame("outputs.frame_id", self.frame_id, sent=True)


@dataclass(frozen=True)
class CloudOptions(Group):
    """The point cloud."""

    stride: int = option(
        1,
        "The cloud has one point for every Nth row and every Nth column of the outputs.",
        between=(1, 64),
        old="cloud_stride",
    )
    voxel_size: float = option(
        0.0,
        "Edge length of a voxel in metres. If it is above 0, the cloud has one point for each "
        "occupied voxel and is no longer organised.",
        between=(0.0, 10.0),
        old="cloud_voxel_size",
    )
    frame: str = option(
        "",
        "The frame of all clouds: any frame that TF knows at the stamp of the image, or body. "
        "With body it is FRAME_body (x forward, y left, z up at the camera), which the node "
        "publishes as a child of FRAME, the image's own frame. If it is empty, or TF does not "
        "know it, clouds are in the image's own frame.",
    )
    classes: str = option(
        "",
        "Names of classes with commas between them. points/semantic has a channel for each of "
        "them. Empty: for every class of the model.",
        read_only=True,
    )

    def __post_init__(self) -> None:
        if 0 < self.voxel_size < FINEST_VOXEL:  # the voxels of a hall overflow
            raise MtpanoError(
                f"parameter cloud.voxel_size is {self.voxel_size}, expected 0 or at least "
                f"{FINEST_VOXEL}"
            )
        if self.frame:
            check_frame("cloud.frame", self.frame, sent=True)


@dataclass(frozen=True)
class MaskOptions(Group):
    """Which pixels show no room. picture: the body mask [h, w], as it was when it was checked."""

    body: str = option(
        "",
        "Path of a 2:1 picture that is white where the camera sees the robot itself. Depth, "
        "normals and points are NaN there.",
        old="body_mask",
    )
    zenith_degrees: float = option(
        0.0,
        "Degrees. Rows within this angle of straight up become NaN.",
        between=(0.0, 90.0),
        old="mask_zenith_degrees",
    )
    nadir_degrees: float = option(
        0.0,
        "Degrees. Rows within this angle of straight down become NaN.",
        between=(0.0, 90.0),
        old="mask_nadir_degrees",
    )
    picture: Mask | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.body and self.picture is None:
            from mtpano_model.pictures.body_mask import load_mask

            try:
                picture = load_mask(self.body)
            except (OSError, RuntimeError) as error:  # of the path, such as the home of nobody
                raise MtpanoError(
                    f"parameter mask.body is '{self.body[:200]}', which cannot be read "
                    f"({error.__class__.__name__}): give the path of a PNG or JPEG"
                ) from error
            object.__setattr__(self, "picture", picture)

    def changed(self, values: Mapping[str, Any]) -> MaskOptions:
        """The file is read again only when `body` is set again: meanwhile it may have gone."""
        return super().changed({**values, "picture": None} if "body" in values else values)


@dataclass(frozen=True)
class ObstacleOptions(Group):
    """What points/obstacles has."""

    min_height: float = option(
        0.05,
        "Metres over the floor. Points below it count as floor, whatever their class.",
        between=(0.0, 20.0),
    )
    max_height: float = option(
        2.0,
        "Metres over the floor. Points above it are left out, since the robot passes below them.",
        between=(0.0, 20.0),
    )

    def __post_init__(self) -> None:
        ObstacleRules((), self.min_height, self.max_height)


@dataclass(frozen=True)
class ScanOptions(Group):
    """The laser scan. rules: what of this makes a scan."""

    min_height: float = option(
        0.1,
        "Metres over the floor. Surfaces below it are left out. While no floor is known, this and "
        "scan.max_height are metres over the camera.",
        between=(-20.0, 20.0),
    )
    max_height: float = option(
        1.8,
        "Metres over the floor. Surfaces above it are left out, since the robot passes below them.",
        between=(-20.0, 20.0),
    )
    min_range: float = option(
        0.2, "Metres. Surfaces nearer than this are left out.", between=(0.01, 1000.0)
    )
    max_range: float = option(
        10.0,
        "Metres. Where no surface is nearer than this, the range is +Inf.",
        between=(0.01, 1000.0),
    )
    frame: str = option(
        "",
        "The frame of the scan: a frame that TF knows, upright and at the camera. If it is empty, "
        "the node publishes one as a child of FRAME, the image's own frame: FRAME_body, or "
        "FRAME_level if level is not off.",
    )
    rules: ScanRules = field(default=ScanRules(), repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.frame:
            check_frame("scan.frame", self.frame, sent=True)
        rules = ScanRules(self.min_height, self.max_height, self.min_range, self.max_range)
        object.__setattr__(self, "rules", rules)


@dataclass(frozen=True)
class ViewOptions(Group):
    """Pinhole views. views: what `layout` and `size` say."""

    layout: str = option(
        "",
        "Pinhole views to offer under views/NAME. four: ahead, right, back and left. cube: up and "
        "down as well. Or a list with semicolons, such as front 0 0 90 480x640; left -90 10 60 "
        "240x320. Each view has a name, degrees to the right, degrees up, horizontal field of view "
        "and HEIGHTxWIDTH. Empty: none.",
        read_only=True,
    )
    size: str = option("480x480", "HEIGHTxWIDTH of the views of four and cube.", read_only=True)
    smooth: bool = option(
        False,
        "Interpolate the colours of views. By default each pixel has the colour of the nearest one "
        "of the panorama, which is as good where the outputs are at least as fine as the view.",
        read_only=True,
    )
    views: tuple[View, ...] = field(default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "views", parse_views(self.layout, self.size))


@dataclass(frozen=True)
class AttitudeOptions(Group):
    """Where `level` learns which way is down. imu_matrix: [3, 3] of `imu_rotation`, or None."""

    frame: str = option(
        "odom",
        "For level tf: the frame whose z axis points up.",
        read_only=True,
    )
    imu_rotation: str = option(
        "",
        "For level imu: roll, pitch and yaw of the IMU in degrees, such as 0 0 90, in the camera's "
        "body axes (x forward, y left, z up). Empty: TF has the IMU's frame.",
        read_only=True,
    )
    imu_matrix: Rotation | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_frame("attitude.frame", self.frame)
        object.__setattr__(self, "imu_matrix", parse_rotation(self.imu_rotation))
