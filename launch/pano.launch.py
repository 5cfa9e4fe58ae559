"""The node on a robot: camera in; depth, normals, semantics and a cloud out under /mtpano.

    ros2 launch mtpano_ros pano.launch.py image:=/camera/image_raw
    ros2 launch mtpano_ros pano.launch.py rig:=my_rig.yaml

Parameters are set in the parameter file. `model`, `backend`, `image_transport`, `rig`, `autostart`
and `use_sim_time` are arguments as well, which override the file. Names without a
leading slash follow the namespace that an including launch file has pushed.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import signal

from ament_index_python.packages import get_package_share_path, get_packages_with_prefixes
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessExit
from launch.events import matches_action
from launch.events.process import ProcessExited, ShutdownProcess
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from mtpano_ros.process.transport import large_messages

SHARE = get_package_share_path("mtpano_ros")
# name: default, description
ARGUMENTS = {
    "image": ("image", "topic of the panoramas, without /compressed"),
    "compressed_image": ("", "topic of JPEG or PNG panoramas; empty: image, then /compressed"),
    "image_transport": ("", "raw, compressed or video; empty: as in params_file"),
    "rig": ("", "rig file: panoramas are made from its lenses; empty: as in params_file"),
    "imu": ("imu", "topic of the IMU, with the parameter level: imu"),
    "namespace": ("mtpano", "namespace of the outputs"),
    "params_file": (str(SHARE / "config" / "pano.yaml"), "parameters of the node"),
    "model": ("", "a bundled model's name or an .onnx file; empty: as in params_file"),
    "backend": ("", "auto, openvino, onnxruntime or tensorrt; empty: as in params_file"),
    "autostart": ("", "false waits for lifecycle services; empty: as in params_file"),
    "use_sim_time": ("", "true takes the time from /clock; empty: as in params_file"),
    "respawn": ("true", "start the node again 2 s after it has died"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
    "rviz": ("false", "show the cloud and the coloured images, where rviz2 is installed"),
    "fixed_frame": ("map", "the frame that RViz draws in"),
}
# Our own "cannot start", and rcl's for an RMW_IMPLEMENTATION that is not installed.
FINAL = (os.EX_CONFIG, 102)
BOOLEANS = {"true": True, "True": True, "false": False, "False": False}
# Parameters of the node that are texts.
TEXTS = ("model", "backend", "image_transport", "rig")
# As ROS parameters these are not text.
BOOLEAN_PARAMETERS = ("autostart", "use_sim_time")
CHOICES = {
    **{name: ["", *BOOLEANS] for name in BOOLEAN_PARAMETERS},
    **{name: list(BOOLEANS) for name in ("respawn", "rviz")},
}
SHOWN = ("points", "scan", "depth/color", "normals/color", "semantic/color")


def generate_launch_description() -> LaunchDescription:
    """The arguments, the transport profile, the node and, if wished, RViz."""
    hear_ctrl_c()
    arguments = [
        DeclareLaunchArgument(
            name, default_value=default, description=description, choices=CHOICES.get(name)
        )
        for name, (default, description) in ARGUMENTS.items()
    ]
    profile = [SetEnvironmentVariable(name, value) for name, value in large_messages().items()]
    return LaunchDescription([*arguments, *profile, OpaqueFunction(function=start)])


def hear_ctrl_c() -> None:
    """Let launch hear SIGINT where a script has started it with `&`, whose jobs ignore it.

    The node ends at SIGINT in any case, and a launch that is deaf to it would start it again.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        with contextlib.suppress(ValueError):  # of a thread, where launch takes no signals either
            signal.signal(signal.SIGINT, signal.default_int_handler)


def start(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The actions, once the arguments have values; whatever is wrong with them is found first."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    warn_of_misspelt(context)
    params_file = os.path.expanduser(value["params_file"])
    if not os.path.isfile(params_file):
        raise RuntimeError(f"params_file:={value['params_file']} is no file: nothing is started")
    pushed = context.launch_configurations.get("ros_namespace", "")
    namespace = absolute(pushed, value["namespace"])
    image = absolute(pushed, value["image"])
    jpeg = value["compressed_image"] and absolute(pushed, value["compressed_image"])
    value["rig"] = os.path.expanduser(value["rig"])
    given = {name: value[name] for name in TEXTS if value[name]}
    given |= {name: BOOLEANS[value[name]] for name in BOOLEAN_PARAMETERS if value[name]}
    node = Node(
        package="mtpano_ros",
        executable="pano_node",
        name="pano_node",
        namespace=namespace,
        parameters=[params_file, *([given] if given else [])],
        remappings=[
            ("image", image),
            ("image/compressed", jpeg or f"{image}/compressed"),
            ("imu", absolute(pushed, value["imu"])),
        ],
        ros_arguments=["--log-level", value["log_level"]],
        respawn=BOOLEANS[value["respawn"]],
        respawn_delay=2.0,
        output="screen",
    )
    actions = [node, RegisterEventHandler(OnProcessExit(target_action=node, on_exit=stay_down))]
    if BOOLEANS[value["rviz"]]:
        actions += rviz(namespace, value["fixed_frame"])
    return actions


def rviz(namespace: str, fixed_frame: str) -> list[Node]:
    """RViz, or a warning: launch would end, and leave the node behind, at a missing package."""
    if "rviz2" not in get_packages_with_prefixes():
        get_logger().warning("rviz2 is not installed: apt install ros-$ROS_DISTRO-rviz2")
        return []
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            arguments=["-d", str(SHARE / "rviz" / "pano.rviz"), "-f", fixed_frame],
            # The RViz file names the default namespace.
            remappings=[(f"/mtpano/{topic}", f"{namespace}/{topic}") for topic in SHOWN],
        )
    ]


def stay_down(event: ProcessExited, _context: LaunchContext) -> EmitEvent | None:
    """Do not respawn a node that says that another start would end in the same way."""
    if event.returncode not in FINAL:
        return None
    return EmitEvent(event=ShutdownProcess(process_matcher=matches_action(event.action)))


def absolute(namespace: str, name: str) -> str:
    """A topic's or namespace's full name."""
    return name if name.startswith("/") else f"/{namespace.strip('/')}/{name}".replace("//", "/")


def warn_of_misspelt(context: LaunchContext) -> None:
    """Warn of launch arguments that nobody declares and that look like one of ours."""
    # launch_ros keeps a pushed namespace among them.
    for name in context.launch_configurations.keys() - ARGUMENTS.keys() - {"ros_namespace"}:
        like = difflib.get_close_matches(name, ARGUMENTS, n=1, cutoff=0.75)
        if like:
            get_logger().warning(
                f"launch argument '{name}' is not read here: was '{like[0]}' meant?"
            )
